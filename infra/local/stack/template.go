package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// template is the part of template.yaml that the local stack checks. Resources are named by their logical ids.
type template struct {
	functions map[string]string // id to folder
	routes    []string          // method and path, such as "GET /health"
	schedules []schedule
	queues    map[string]queue
	mappings  map[string]mapping
}

// schedule starts a function at a rate.
type schedule struct{ function, rate string }

// queue is a queue and its dead-letter queue.
type queue struct {
	visibilitySeconds int
	deadLetters       string // id of the queue that gets failed messages; empty: none
	attempts          int    // until a message is moved there
}

// mapping passes the messages of a queue, or the records of a table's stream, to a function.
type mapping struct {
	source, function string
	batchSize        int
	responses        []string
	start            string   // in a stream
	filters          []string // patterns; empty: everything is passed
	bisects          bool     // a batch that fails
	parallel         int      // batches of a shard at the same time; 0: one
}

type resource struct {
	Type       string    `yaml:"Type"`
	Properties yaml.Node `yaml:"Properties"`
}

// readResources returns the resources of a template by their ids.
func readResources(path string) (map[string]resource, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	var document struct {
		Resources map[string]resource `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	return document.Resources, nil
}

func readTemplate(path string) (template, error) {
	resources, err := readResources(path)
	if err != nil {
		return template{}, err
	}
	result := template{functions: make(map[string]string), queues: make(map[string]queue), mappings: make(map[string]mapping)}
	for id, resource := range resources {
		switch resource.Type {
		case "AWS::Serverless::Function":
			err = result.addFunction(id, resource.Properties)
		case "AWS::SQS::Queue":
			err = result.addQueue(id, resource.Properties)
		case "AWS::Lambda::EventSourceMapping":
			err = result.addMapping(id, resource.Properties)
		}
		if err != nil {
			return template{}, fmt.Errorf("reading %s of the template: %w", id, err)
		}
	}
	return result, nil
}

func (t *template) addFunction(id string, node yaml.Node) error {
	var properties struct {
		CodeURI string `yaml:"CodeUri"`
		Events  map[string]struct {
			Type       string `yaml:"Type"`
			Properties struct {
				Path     string `yaml:"Path"`
				Method   string `yaml:"Method"`
				Schedule string `yaml:"Schedule"`
			} `yaml:"Properties"`
		} `yaml:"Events"`
	}
	if err := node.Decode(&properties); err != nil {
		return err
	}
	t.functions[id] = filepath.Base(properties.CodeURI)
	for _, event := range properties.Events {
		switch event.Type {
		case "Schedule":
			t.schedules = append(t.schedules, schedule{function: id, rate: event.Properties.Schedule})
		case "Api":
			t.routes = append(t.routes, event.Properties.Method+" "+event.Properties.Path)
		}
	}
	return nil
}

func (t *template) addQueue(id string, node yaml.Node) error {
	var properties struct {
		VisibilityTimeout int `yaml:"VisibilityTimeout"`
		RedrivePolicy     struct {
			Target   yaml.Node `yaml:"deadLetterTargetArn"`
			Attempts int       `yaml:"maxReceiveCount"`
		} `yaml:"RedrivePolicy"`
	}
	if err := node.Decode(&properties); err != nil {
		return err
	}
	t.queues[id] = queue{
		visibilitySeconds: properties.VisibilityTimeout,
		deadLetters:       referred(properties.RedrivePolicy.Target),
		attempts:          properties.RedrivePolicy.Attempts,
	}
	return nil
}

func (t *template) addMapping(id string, node yaml.Node) error {
	var properties struct {
		Source    yaml.Node `yaml:"EventSourceArn"`
		Function  yaml.Node `yaml:"FunctionName"`
		BatchSize int       `yaml:"BatchSize"`
		Responses []string  `yaml:"FunctionResponseTypes"`
		Start     string    `yaml:"StartingPosition"`
		Bisects   bool      `yaml:"BisectBatchOnFunctionError"`
		Parallel  int       `yaml:"ParallelizationFactor"`
		Criteria  struct {
			Filters []struct {
				Pattern string `yaml:"Pattern"`
			} `yaml:"Filters"`
		} `yaml:"FilterCriteria"`
	}
	if err := node.Decode(&properties); err != nil {
		return err
	}
	m := mapping{
		source: referred(properties.Source), function: referred(properties.Function),
		batchSize: properties.BatchSize, responses: properties.Responses, start: properties.Start,
		bisects: properties.Bisects, parallel: properties.Parallel,
	}
	for _, f := range properties.Criteria.Filters {
		m.filters = append(m.filters, f.Pattern)
	}
	t.mappings[id] = m
	return nil
}

// referred returns the id that a !Ref or !GetAtt names, or the first one of an !If.
func referred(node yaml.Node) string {
	if len(node.Content) == 3 {
		node = *node.Content[1]
	}
	id, _, _ := strings.Cut(node.Value, ".")
	return id
}
