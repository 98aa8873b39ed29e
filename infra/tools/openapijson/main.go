// Openapijson validates infra/openapi.yaml and writes it as one line of JSON, in the order of the YAML, for the function
// that serves it: openapijson IN OUT.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/getkin/kin-openapi/openapi3"
	"gopkg.in/yaml.v3"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "openapijson:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: openapijson IN OUT")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("reading %s: %w", args[0], err)
	}
	var out bytes.Buffer
	if err := write(&out, &document); err != nil {
		return fmt.Errorf("converting %s: %w", args[0], err)
	}
	if err := check(out.Bytes()); err != nil {
		return fmt.Errorf("checking %s: %w", args[0], err)
	}
	return os.WriteFile(args[1], out.Bytes(), 0o644)
}

// check validates an OpenAPI document, including its examples.
func check(text []byte) error {
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return err
	}
	return document.Validate(context.Background())
}

// write writes a YAML node as JSON. Maps keep their order, so that equal input gives equal output.
func write(out *bytes.Buffer, node *yaml.Node) error {
	switch node.Kind {
	case yaml.DocumentNode:
		return write(out, node.Content[0])
	case yaml.AliasNode:
		return write(out, node.Alias)
	case yaml.MappingNode:
		out.WriteByte('{')
		for i := 0; i < len(node.Content); i += 2 {
			if i > 0 {
				out.WriteByte(',')
			}
			// Keys are strings in JSON even if they are not in YAML, such as status codes.
			if err := writeValue(out, node.Content[i].Value); err != nil {
				return err
			}
			out.WriteByte(':')
			if err := write(out, node.Content[i+1]); err != nil {
				return err
			}
		}
		out.WriteByte('}')
		return nil
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, item := range node.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := write(out, item); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	case yaml.ScalarNode:
		return writeScalar(out, node)
	}
	return fmt.Errorf("line %d: unexpected kind of node", node.Line)
}

func writeScalar(out *bytes.Buffer, node *yaml.Node) error {
	switch node.ShortTag() {
	case "!!null", "!!bool", "!!int", "!!float":
		var value any
		if err := node.Decode(&value); err != nil {
			return fmt.Errorf("line %d: %w", node.Line, err)
		}
		return writeValue(out, value)
	}
	// Dates are strings in JSON too.
	return writeValue(out, node.Value)
}

func writeValue(out *bytes.Buffer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // without the encoder's newline
	return nil
}
