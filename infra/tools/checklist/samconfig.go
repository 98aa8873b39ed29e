package main

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// section is a section of samconfig.toml: what sam deploy would use.
type section struct {
	StackName string   `toml:"stack_name"`
	Region    string   `toml:"region"`
	Profile   string   `toml:"profile"`
	Overrides []string `toml:"parameter_overrides"`
}

// readSection reads a section of samconfig.toml: that of a stage, or another one for a second stack of it.
func readSection(path, stage string) (section, error) {
	var stages map[string]toml.Primitive
	metadata, err := toml.DecodeFile(path, &stages)
	if err != nil {
		return section{}, fmt.Errorf("reading samconfig.toml: %w", err)
	}
	primitive, ok := stages[stage]
	if !ok {
		return section{}, fmt.Errorf("samconfig.toml has no section %s: STAGE is staging, production or a section that you have added", stage)
	}
	var commands struct {
		Deploy struct {
			Parameters section `toml:"parameters"`
		} `toml:"deploy"`
	}
	if err := metadata.PrimitiveDecode(primitive, &commands); err != nil {
		return section{}, fmt.Errorf("reading the section %s of samconfig.toml: %w", stage, err)
	}
	result := commands.Deploy.Parameters
	if result.StackName == "" || result.Region == "" {
		return section{}, fmt.Errorf("the section %s of samconfig.toml lacks stack_name or region", stage)
	}
	return result, nil
}

// overrides returns the values of a list of Name=value; a later one wins.
func overrides(list []string) (map[string]string, error) {
	values := make(map[string]string)
	for _, item := range list {
		name, value, ok := strings.Cut(item, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not Name=value", item)
		}
		values[name] = value
	}
	return values, nil
}
