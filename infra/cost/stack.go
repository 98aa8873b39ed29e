package cost

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"carrierlink/shared/metrics"
)

// Stack is what template.yaml says about the bill of a stack outside local.
type Stack struct {
	Architecture       string
	Memory             map[string]int // MB, by the function's resource
	AlarmMetrics       int            // an alarm costs a metric for each metric that it watches
	Metrics            int            // that the functions make, if each dimension has each of its values
	Dashboards         int
	Topics             int
	Keys               int // of KMS
	PassesPerMinute    float64
	RefreshesPerMinute float64
	Recovery           bool // point in time
	AccessLog          bool
}

// ReadStack reads a template.
func ReadStack(path string) (Stack, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Stack{}, err
	}
	var t struct {
		Parameters map[string]struct {
			Default yaml.Node `yaml:"Default"`
		} `yaml:"Parameters"`
		Globals struct {
			Function struct {
				MemorySize int `yaml:"MemorySize"`
			} `yaml:"Function"`
		} `yaml:"Globals"`
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &t); err != nil {
		return Stack{}, fmt.Errorf("%s: %w", path, err)
	}
	s := Stack{Architecture: t.Parameters["Architecture"].Default.Value, Memory: map[string]int{}, Metrics: len(metrics.All())}
	for name, to := range map[string]*float64{"SchedulePassesPerMinute": &s.PassesPerMinute, "RefreshesPerMinute": &s.RefreshesPerMinute} {
		text := t.Parameters[name].Default
		if *to, err = strconv.ParseFloat(text.Value, 64); err != nil {
			return s, fmt.Errorf("%s: %s: %w", path, name, err)
		}
	}
	for name, r := range t.Resources {
		switch r.Type {
		case "AWS::Serverless::Function":
			if s.Memory[name] = t.Globals.Function.MemorySize; property(r.Properties, "MemorySize") != "" {
				if s.Memory[name], err = strconv.Atoi(property(r.Properties, "MemorySize")); err != nil {
					return s, fmt.Errorf("%s: the memory of %s: %w", path, name, err)
				}
			}
		case "AWS::CloudWatch::Alarm":
			s.AlarmMetrics += watched(r.Properties)
		case "AWS::CloudWatch::Dashboard":
			s.Dashboards++
		case "AWS::SNS::Topic":
			s.Topics++
		case "AWS::KMS::Key":
			s.Keys++
		case "AWS::DynamoDB::Table":
			s.Recovery = property(r.Properties, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") == "true"
		case "AWS::Serverless::Api":
			s.AccessLog = child(r.Properties, "AccessLogSetting") != nil
		}
	}
	return s, nil
}

// watched returns how many metrics an alarm watches.
func watched(alarm yaml.Node) int {
	list := child(alarm, "Metrics")
	if list == nil {
		return 1
	}
	n := 0
	for _, m := range list.Content {
		if child(*m, "MetricStat") != nil {
			n++
		}
	}
	return n
}

// child returns a member of a mapping, or nil.
func child(n yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		if n.Kind != yaml.MappingNode {
			return nil
		}
		found := false
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				n, found = *n.Content[i+1], true
				break
			}
		}
		if !found {
			return nil
		}
	}
	return &n
}

func property(n yaml.Node, path ...string) string {
	if c := child(n, path...); c != nil {
		return c.Value
	}
	return ""
}

// Parse reads a number of a command line, such as 100000, 100_000, 100k or 1M.
func Parse(text string) (float64, error) {
	factor := 1.0
	switch {
	case strings.HasSuffix(text, "k"):
		factor = 1e3
	case strings.HasSuffix(text, "M"):
		factor = 1e6
	}
	n, err := strconv.ParseUint(strings.NewReplacer("_", "", ",", "").Replace(strings.TrimRight(text, "kM")), 10, 40)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number such as 100000, 100k or 1M", text)
	}
	return float64(n) * factor, nil
}

// Compare says how the calls of an operation and their units differ from counts.yaml, or
// returns an empty string. Sizes may differ by a fifth, because ids and times have many
// lengths.
func Compare(name string, got Operation) (string, error) {
	counts, err := LoadCounts()
	if err != nil {
		return "", err
	}
	want, ok := counts.Operations[name]
	if !ok {
		if want, ok = counts.Schedule[name]; !ok {
			return "", fmt.Errorf("counts.yaml has no operation %s", name)
		}
	}
	same := len(got.Calls) == len(want.Calls) && got.Read == want.Read && got.Write == want.Write && got.Metrics == want.Metrics &&
		near(got.Answer, want.Answer) && near(got.Log, want.Log)
	for call, n := range got.Calls {
		same = same && want.Calls[call] == n
	}
	if same {
		return "", nil
	}
	calls, err := json.Marshal(got.Calls)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("infra/cost/counts.yaml says %+v of %s, but the test counts:\n"+
		"calls: %s, read: %v, write: %v, answer: %d, log: %d, metrics: %d", want, name, strings.ReplaceAll(string(calls), `"`, ""), got.Read, got.Write, got.Answer, got.Log, got.Metrics), nil
}

func near(got, want int) bool {
	return got*5 >= want*4 && got*5 <= want*6
}
