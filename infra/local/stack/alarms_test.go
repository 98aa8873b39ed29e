package stack

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"carrierlink/infra/local/emf"
	"carrierlink/infra/local/emulator"
	"carrierlink/shared/metrics"
)

// made are the keys of all metrics that the functions can make on a local stack.
func made() map[string]bool {
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

// TestAlarms: every alarm reaches somebody when it goes off and when it is over, watches metrics that the functions can
// make, and has a section in the runbook. What the alarms cost follows from their number.
func TestAlarms(t *testing.T) {
	const mostAlarms = 20
	alarms, err := Alarms()
	if err != nil {
		t.Fatal(err)
	}
	const actions = "!If HasAlarmTopic [] !If MakesAlarmTopic !Ref AlarmTopic !Ref AlarmTopicArn !Ref AWS::NoValue"
	runbook := read(t, "infra/docs/runbook.md")
	keys, watched := made(), 0
	for _, id := range slices.Sorted(maps.Keys(alarms)) {
		a := alarms[id]
		for name, got := range map[string]string{"AlarmActions": a.Actions, "OKActions": a.OKActions} {
			if words := strings.Join(strings.Fields(strings.ReplaceAll(strings.ReplaceAll(got, "!!str", ""), "!!seq", "[]")), " "); words != actions {
				t.Errorf("%s of %s are %q, want %q", name, id, words, actions)
			}
		}
		if len(a.Metrics) == 0 {
			t.Errorf("%s watches nothing", id)
		}
		for _, m := range a.Metrics {
			watched++
			if m.Namespace == metrics.Namespace && !keys[m.Key()] {
				t.Errorf("%s watches %s, which no function makes", id, m.Key())
			}
		}
		if !regexp.MustCompile("(?m)^## .*`" + id + "`").MatchString(runbook) {
			t.Errorf("the runbook has no section about %s", id)
		}
	}
	t.Logf("%d alarms (at most %d) watch %d metrics", len(alarms), mostAlarms, watched)
	if len(alarms) > mostAlarms {
		t.Errorf("%d alarms, want at most %d", len(alarms), mostAlarms)
	}
}

// TestDashboard: the dashboard is JSON and shows every metric that the functions make, and no other of our namespace.
func TestDashboard(t *testing.T) {
	var document struct {
		Resources struct {
			Dashboard struct {
				Properties struct {
					Body string `yaml:"DashboardBody"`
				} `yaml:"Properties"`
			} `yaml:"Dashboard"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "template.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	var body struct {
		Widgets []struct {
			Y          int `json:"y"`
			Properties struct {
				Markdown string  `json:"markdown"`
				Metrics  [][]any `json:"metrics"`
			} `json:"properties"`
		} `json:"widgets"`
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(document.Resources.Dashboard.Properties.Body, "${Stage}", "local")), &body); err != nil {
		t.Fatal(err)
	}
	keys, shown, questions := made(), map[string]bool{}, 0
	for _, w := range body.Widgets {
		if strings.HasSuffix(w.Properties.Markdown, "?") {
			questions++
		}
		for _, m := range w.Properties.Metrics {
			var words []string
			for _, part := range m {
				if word, ok := part.(string); ok {
					words = append(words, word)
				}
			}
			if words[0] != metrics.Namespace {
				continue
			}
			dimensions := map[string]string{}
			for i := 2; i+1 < len(words); i += 2 {
				dimensions[words[i]] = words[i+1]
			}
			key := emf.Key(words[0], words[1], emf.Join(dimensions))
			shown[key] = true
			if !keys[key] {
				t.Errorf("the dashboard shows %s, which no function makes", key)
			}
		}
	}
	if questions != 4 {
		t.Errorf("the dashboard answers %d questions, want 4", questions)
	}
	for key := range keys {
		// The total of the throttles is the sum of its two services; the sandbox has no breaker.
		if !shown[key] && key != "carrierlink Throttles{Stage=local}" && key != "carrierlink BreakerOpen{Lane=sandbox,Stage=local}" {
			t.Errorf("the dashboard does not show %s", key)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	root, err := emulator.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
