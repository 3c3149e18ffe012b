// kubectl, as Kubernetes' own cmd/kubectl puts it together.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
)

func main() {
	// What fails says so in its own words.
	util.BehaviorOnFatal(func(message string, code int) {
		if message != "" {
			os.Stderr.WriteString(message + "\n")
		}
		os.Exit(code)
	})
	os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
}
