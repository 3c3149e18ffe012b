// Reads YAML as config-tool (argument "config-tool") or as the Quay operator (argument "operator") does; one JSON line
// in, one JSON line out, until stdin ends. See README.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	v3 "gopkg.in/yaml.v3"
	sigs "sigs.k8s.io/yaml"
)

// Beyond this a reader of JSON may round.
const exact = 1 << 53

type request struct {
	ID   uint64 `json:"id"`
	YAML []byte `json:"yaml"`
}

type reply struct {
	ID    uint64 `json:"id"`
	Value any    `json:"value"`
	Error string `json:"error,omitempty"`
}

var readers = map[string]func([]byte, *map[string]any) error{
	"config-tool": func(document []byte, into *map[string]any) error { return v3.Unmarshal(document, into) },
	"operator":    func(document []byte, into *map[string]any) error { return sigs.Unmarshal(document, into) },
}

func main() {
	unmarshal := readers[strings.Join(os.Args[1:], " ")]
	if unmarshal == nil {
		fail(fmt.Errorf("usage: %s config-tool|operator", os.Args[0]))
	}
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := json.NewEncoder(os.Stdout)
	for in.More() {
		var asked request
		if err := in.Decode(&asked); err != nil {
			fail(err)
		}
		answer := reply{ID: asked.ID}
		value, err := read(asked.YAML, unmarshal)
		if err != nil {
			answer.Error = err.Error()
		} else {
			answer.Value = value
		}
		if err := out.Encode(answer); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func read(document []byte, unmarshal func([]byte, *map[string]any) error) (value any, err error) {
	// A reader that panics ends its program: that is an error too.
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	var read map[string]any
	if err := unmarshal(document, &read); err != nil {
		return nil, err
	}
	return plain(read), nil
}

// The value as JSON; what JSON does not know is a string that begins with its type: "!time 2024-01-01T00:00:00Z".
func plain(value any) any {
	switch value := value.(type) {
	case nil, bool:
		return value
	case string:
		if strings.HasPrefix(value, "!") {
			return "!str " + value
		}
		return value
	case int:
		return integer(int64(value))
	case int64:
		return integer(value)
	case uint64:
		return fmt.Sprintf("!int %d", value)
	case float64:
		return "!float " + strconv.FormatFloat(value, 'g', -1, 64)
	case time.Time:
		return "!time " + value.Format(time.RFC3339Nano)
	case []any:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = plain(item)
		}
		return items
	case map[string]any:
		pairs := make(map[string]any, len(value))
		for name, item := range value {
			pairs[key(name)] = plain(item)
		}
		return pairs
	case map[any]any:
		pairs := make(map[string]any, len(value))
		for name, item := range value {
			pairs[key(name)] = plain(item)
		}
		return pairs
	default:
		return fmt.Sprintf("!%T %v", value, value)
	}
}

func integer(value int64) any {
	if math.Abs(float64(value)) < exact {
		return value
	}
	return fmt.Sprintf("!int %d", value)
}

// A mapping's key as a key of JSON.
func key(name any) string {
	shown := plain(name)
	if text, ok := shown.(string); ok {
		return text
	}
	text, err := json.Marshal(shown)
	if err != nil {
		return fmt.Sprintf("!key %v", name)
	}
	return "!key " + string(text)
}
