package stack

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"carrierlink/infra/local/emf"
	"carrierlink/infra/local/emulator"
	"carrierlink/shared/metrics"
)

// TestAlarms: every alarm reaches somebody when it goes off and when it is over, watches metrics that the functions can
// make, and has a section in the runbook. Those that something did not happen tell nobody in a stack where nothing is to happen.
func TestAlarms(t *testing.T) {
	const mostAlarms = 21
	alarms, err := Alarms()
	if err != nil {
		t.Fatal(err)
	}
	const actions = "!If HasAlarmTopic [] !If MakesAlarmTopic !Ref AlarmTopic !Ref AlarmTopicArn !Ref AWS::NoValue"
	runbook := read(t, "infra/docs/runbook.md")
	keys, watched := Made(), 0
	for _, id := range slices.Sorted(maps.Keys(alarms)) {
		a := alarms[id]
		for name, got := range map[string]string{"AlarmActions": a.Actions, "OKActions": a.OKActions} {
			if got != actions {
				t.Errorf("%s of %s are %q, want %q", name, id, got, actions)
			}
		}
		enabled := ""
		if a.Missing == "breaching" {
			enabled = "!If WorksInBackground true false"
		}
		if a.Enabled != enabled {
			t.Errorf("ActionsEnabled of %s is %q, want %q", id, a.Enabled, enabled)
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

// TestDeadLetterAlarm: the alarm goes off when a letter arrives, even in the last minute of a period, and not when a letter that lies
// there is taken for a while, by a poll of the console or while it is moved. CloudWatch's arithmetic is in this test: per period a
// statistic of each metric, their sum, the difference from the period before.
func TestDeadLetterAlarm(t *testing.T) {
	var document struct {
		Resources struct {
			Alarm struct {
				Properties struct {
					Threshold float64 `yaml:"Threshold"`
					Operator  string  `yaml:"ComparisonOperator"`
					Metrics   []struct {
						Expression string `yaml:"Expression"`
						MetricStat struct {
							Stat   string `yaml:"Stat"`
							Period int    `yaml:"Period"`
						} `yaml:"MetricStat"`
					} `yaml:"Metrics"`
				} `yaml:"Properties"`
			} `yaml:"RefreshDeadLetterAlarm"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "template.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	alarm := document.Resources.Alarm.Properties
	if len(alarm.Metrics) != 3 || alarm.Metrics[0].Expression != "DIFF(FILL(waiting, 0) + FILL(taken, 0))" || alarm.Operator != "GreaterThanThreshold" {
		t.Fatalf("this test knows another alarm than %+v", alarm)
	}
	held := func(metric int, minutes []float64) float64 {
		stat := alarm.Metrics[metric].MetricStat
		if stat.Period != 60*len(minutes) {
			t.Fatalf("a period has %d s, want %d", stat.Period, 60*len(minutes))
		}
		if stat.Stat == "Maximum" {
			return slices.Max(minutes)
		}
		sum := 0.0
		for _, value := range minutes {
			sum += value
		}
		return sum / float64(len(minutes))
	}
	type period struct{ waiting, taken []float64 }
	lies := period{[]float64{1, 1, 1, 1, 1}, []float64{0, 0, 0, 0, 0}}
	empty := period{[]float64{0, 0, 0, 0, 0}, []float64{0, 0, 0, 0, 0}}
	tests := []struct {
		name          string
		before, after period
		want          bool
	}{
		{"a letter is taken for a minute", lies, period{[]float64{1, 1, 0, 1, 1}, []float64{0, 0, 1, 0, 0}}, false},
		{"a letter is moved away", lies, period{[]float64{1, 0, 0, 0, 0}, []float64{0, 1, 0, 0, 0}}, false},
		{"it lies there", lies, lies, false},
		{"the queue stays empty", empty, empty, false},
		{"a letter arrives in the first minute", empty, lies, true},
		{"a letter arrives in the last minute", empty, period{[]float64{0, 0, 0, 0, 1}, []float64{0, 0, 0, 0, 0}}, true},
		{"a second letter arrives while the first is taken", lies, period{[]float64{1, 1, 1, 1, 1}, []float64{0, 0, 0, 0, 1}}, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			grown := held(1, tc.after.waiting) + held(2, tc.after.taken) - held(1, tc.before.waiting) - held(2, tc.before.taken)
			if got := grown > alarm.Threshold; got != tc.want {
				t.Errorf("the queue grew by %v, the alarm goes off: %t, want %t", grown, got, tc.want)
			}
		})
	}
}

// TestDashboard: the dashboard is JSON and shows every metric that the functions make, and no other of our namespace.
func TestDashboard(t *testing.T) {
	var document struct {
		Resources struct {
			Dashboard struct {
				Properties struct {
					Body yaml.Node `yaml:"DashboardBody"` // !Sub [text, values]
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
	sub := document.Resources.Dashboard.Properties.Body
	if len(sub.Content) == 0 {
		t.Fatal("the dashboard has no body")
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(sub.Content[0].Value, "${Stage}", "local")), &body); err != nil {
		t.Fatal(err)
	}
	keys, shown, questions := Made(), map[string]bool{}, 0
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
	if questions != 5 {
		t.Errorf("the dashboard answers %d questions, want 5", questions)
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
	text, err := emulator.File(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
