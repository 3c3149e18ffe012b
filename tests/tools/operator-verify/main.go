// Runs the validators of the operator framework on a bundle, as `operator-sdk bundle validate` does with
// `--select-optional suite=operatorframework`, and prints what they say, one line each. Exit code 1: something is wrong.
//
// Not run are multiarch, which pulls the operator's image, and operatorhub, which operatorhub/v2 and standard… replace.
package main

import (
	"fmt"
	"os"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
	interfaces "github.com/operator-framework/api/pkg/validation/interfaces"
)

var validators = []struct {
	name string
	run  interfaces.Validators
}{
	{"default", validation.DefaultBundleValidators},
	{"operatorhub/v2", interfaces.Validators{validation.OperatorHubV2Validator}},
	{"standardcapabilities", interfaces.Validators{validation.StandardCapabilitiesValidator}},
	{"standardcategories", interfaces.Validators{validation.StandardCategoriesValidator}},
	{"bundle-objects", interfaces.Validators{validation.ObjectValidator}},
	{"community", interfaces.Validators{validation.CommunityOperatorValidator}},
	{"good-practices", interfaces.Validators{validation.GoodPracticesValidator}},
	{"alpha-deprecated-apis", interfaces.Validators{validation.AlphaDeprecatedAPIsValidator}},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: operator-verify FOLDER")
		os.Exit(64)
	}
	bundle, err := manifests.GetBundleFromDir(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// The newest version of Kubernetes whose removals the validator knows.
	options := map[string]string{"k8s-version": "1.26.0"}
	objects := append(bundle.ObjectsToValidate(), options)
	code := 0
	for _, validator := range validators {
		said := 0
		for _, result := range validator.run.Validate(objects...) {
			for _, complaint := range append(result.Errors, result.Warnings...) {
				fmt.Printf("%s: %s\n", validator.name, complaint.Error())
				said++
			}
			if result.HasError() {
				code = 1
			}
		}
		if said == 0 {
			fmt.Printf("%s: nothing to say\n", validator.name)
		}
	}
	os.Exit(code)
}
