// Judges objects by a health script as Argo CD does: with its interpreter, the libraries that it opens where
// resource.customizations.useOpenLibs is not set, and its second of time.
//
//	argocd-health HEALTH.LUA < OBJECTS.JSON
//
// Prints the health of each object of the list.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
)

type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

var known = map[string]bool{"Unknown": true, "Progressing": true, "Suspended": true, "Healthy": true, "Degraded": true, "Missing": true}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "argocd-health:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: argocd-health HEALTH.LUA < OBJECTS.JSON")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var objects []map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	all := make([]health, 0, len(objects))
	for index, object := range objects {
		one, err := judge(object, string(script))
		if err != nil {
			return fmt.Errorf("object %d: %w", index, err)
		}
		all = append(all, one)
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func judge(object map[string]any, script string) (health, error) {
	metadata, _ := object["metadata"].(map[string]any)
	if metadata["deletionTimestamp"] != nil {
		return health{Status: "Progressing", Message: "Pending deletion"}, nil
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	// Its own library `os`, of which only the time is left, is not given here: a script that asks for it fails.
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		call := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return health{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return health{}, err
	}
	table, is := state.Get(-1).(*lua.LTable)
	if !is {
		return health{}, fmt.Errorf("the script returned a %s", state.Get(-1).Type())
	}
	word, message := table.RawGetString("status"), table.RawGetString("message")
	if !known[word.String()] {
		return health{}, fmt.Errorf("the script returned the status %q", word.String())
	}
	if message.Type() != lua.LTString {
		return health{}, fmt.Errorf("the script returned a %s as message", message.Type())
	}
	return health{Status: word.String(), Message: message.String()}, nil
}

func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case float64:
		return lua.LNumber(from)
	case string:
		return lua.LString(from)
	case []any:
		list := state.NewTable()
		for _, each := range from {
			list.Append(value(state, each))
		}
		return list
	case map[string]any:
		table := state.NewTable()
		for key, each := range from {
			table.RawSetString(key, value(state, each))
		}
		return table
	}
	return lua.LNil
}
