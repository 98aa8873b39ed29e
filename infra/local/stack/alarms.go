package stack

import (
	"fmt"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"carrierlink/infra/local/emf"
	"carrierlink/infra/local/emulator"
	"carrierlink/shared/metrics"
)

// Alarm is an alarm of template.yaml.
type Alarm struct {
	Metrics []Watched
	// Actions and OKActions are the expressions of the template; empty for none.
	Actions, OKActions string
	// Enabled is the expression that says when the actions happen; empty for always.
	Enabled string
	// Missing says what the alarm makes of a period without a value, such as breaching.
	Missing string
}

// Watched is a metric that an alarm watches.
type Watched struct {
	Namespace, Name string
	// Dimensions are by name. A reference to anything but the stage is its text, such as RefreshQueue.QueueName.
	Dimensions map[string]string
}

// Key returns what emf.Datum.Key returns for the metric.
func (w Watched) Key() string { return emf.Key(w.Namespace, w.Name, emf.Join(w.Dimensions)) }

type metricNode struct {
	Namespace  string `yaml:"Namespace"`
	MetricName string `yaml:"MetricName"`
	Dimensions []struct {
		Name  string    `yaml:"Name"`
		Value yaml.Node `yaml:"Value"`
	} `yaml:"Dimensions"`
}

func (m metricNode) watched() Watched {
	w := Watched{Namespace: m.Namespace, Name: m.MetricName, Dimensions: map[string]string{}}
	for _, d := range m.Dimensions {
		w.Dimensions[d.Name] = d.Value.Value
		if d.Value.Tag == "!Ref" && d.Value.Value == "Stage" {
			w.Dimensions[d.Name] = "local"
		}
	}
	return w
}

// Alarms reads the alarms of template.yaml, those included that a local stack does not have.
func Alarms() (map[string]Alarm, error) {
	root, err := emulator.Root()
	if err != nil {
		return nil, err
	}
	resources, err := readResources(filepath.Join(root, "template.yaml"))
	if err != nil {
		return nil, err
	}
	alarms := map[string]Alarm{}
	for id, resource := range resources {
		if resource.Type != "AWS::CloudWatch::Alarm" {
			continue
		}
		var properties struct {
			metricNode `yaml:",inline"`
			Actions    yaml.Node `yaml:"AlarmActions"`
			OKActions  yaml.Node `yaml:"OKActions"`
			Enabled    yaml.Node `yaml:"ActionsEnabled"`
			Missing    string    `yaml:"TreatMissingData"`
			Metrics    []struct {
				MetricStat *struct {
					Metric metricNode `yaml:"Metric"`
				} `yaml:"MetricStat"`
			} `yaml:"Metrics"`
		}
		if err := resource.Properties.Decode(&properties); err != nil {
			return nil, fmt.Errorf("reading %s of the template: %w", id, err)
		}
		alarm := Alarm{
			Actions: expression(properties.Actions), OKActions: expression(properties.OKActions),
			Enabled: expression(properties.Enabled), Missing: properties.Missing,
		}
		if properties.MetricName != "" {
			alarm.Metrics = append(alarm.Metrics, properties.watched())
		}
		for _, m := range properties.Metrics {
			if m.MetricStat != nil {
				alarm.Metrics = append(alarm.Metrics, m.MetricStat.Metric.watched())
			}
		}
		alarms[id] = alarm
	}
	return alarms, nil
}

// Made returns the keys of all metrics that the functions can make on a local stack.
func Made() map[string]bool {
	keys := map[string]bool{}
	for _, s := range metrics.All() {
		dimensions := map[string]string{"Stage": "local"}
		if s.Dimension != "" {
			dimensions[s.Dimension] = s.Value
		}
		keys[emf.Key(metrics.Namespace, s.Name, emf.Join(dimensions))] = true
	}
	return keys
}

// expression returns an expression of the template as one line of text. [] begins a list.
func expression(node yaml.Node) string {
	words := []string{node.Tag, node.Value}
	switch node.Tag {
	case "!!seq":
		words[0] = "[]"
	case "!!str", "!!bool":
		words[0] = ""
	}
	for _, child := range node.Content {
		words = append(words, expression(*child))
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
