// Judges objects by kstatus, with the library of Flux; with a manifest of a Kustomization, by the healthCheckExprs of it, as
// Flux evaluates them.
//
//	kstatus [KUSTOMIZATION.JSON] < OBJECTS.JSON
//
// Prints the status of each object of the list. Where an expression cannot be evaluated it is Unknown, as Flux has it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type judged struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

type judge func(*unstructured.Unstructured) (*status.Result, error)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	by := judge(status.Compute)
	if len(os.Args) == 2 {
		expressions, err := expressions(os.Args[1])
		if err != nil {
			return err
		}
		by = expressions
	}
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	all := make([]judged, 0, len(objects))
	for index, text := range objects {
		var object unstructured.Unstructured
		if err := object.UnmarshalJSON(text); err != nil {
			return fmt.Errorf("object %d: %w", index, err)
		}
		one, err := by(&object)
		if err != nil {
			all = append(all, judged{Status: status.UnknownStatus.String(), Message: err.Error()})
			continue
		}
		all = append(all, judged{Status: one.Status.String(), Message: one.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func expressions(path string) (judge, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var kustomization struct {
		Spec struct {
			HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(text, &kustomization); err != nil {
		return nil, err
	}
	checks := kustomization.Spec.HealthCheckExprs
	if len(checks) != 1 {
		return nil, fmt.Errorf("%s has %d healthCheckExprs", path, len(checks))
	}
	evaluator, err := cel.NewStatusEvaluator(&checks[0].HealthCheckExpressions)
	if err != nil {
		return nil, err
	}
	return func(object *unstructured.Unstructured) (*status.Result, error) {
		return evaluator.Evaluate(context.Background(), object)
	}, nil
}
