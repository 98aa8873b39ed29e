package cost

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
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
			Type       string `yaml:"Type"`
			Properties struct {
				MemorySize int `yaml:"MemorySize"`
				Metrics    []struct {
					Stat yaml.Node `yaml:"MetricStat"`
				} `yaml:"Metrics"`
				AccessLog yaml.Node `yaml:"AccessLogSetting"`
				Recovery  struct {
					Enabled bool `yaml:"PointInTimeRecoveryEnabled"`
				} `yaml:"PointInTimeRecoverySpecification"`
			} `yaml:"Properties"`
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
			s.Memory[name] = cmp.Or(r.Properties.MemorySize, t.Globals.Function.MemorySize)
		case "AWS::CloudWatch::Alarm":
			if r.Properties.Metrics == nil {
				s.AlarmMetrics++
			}
			for _, m := range r.Properties.Metrics { // the others are expressions
				if !m.Stat.IsZero() {
					s.AlarmMetrics++
				}
			}
		case "AWS::CloudWatch::Dashboard":
			s.Dashboards++
		case "AWS::SNS::Topic":
			s.Topics++
		case "AWS::KMS::Key":
			s.Keys++
		case "AWS::DynamoDB::Table":
			s.Recovery = r.Properties.Recovery.Enabled
		case "AWS::Serverless::Api":
			s.AccessLog = !r.Properties.AccessLog.IsZero()
		}
	}
	return s, nil
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
	for _, more := range []map[string]Operation{counts.Pages, counts.Schedule} {
		if !ok {
			want, ok = more[name]
		}
	}
	if !ok {
		return "", fmt.Errorf("counts.yaml has no operation %s", name)
	}
	same := maps.Equal(got.Calls, want.Calls) && got.Read == want.Read && got.Write == want.Write &&
		got.Hashes == want.Hashes && got.Mails == want.Mails && got.Metrics == want.Metrics &&
		near(got.Answer, want.Answer) && near(got.Log, want.Log)
	if same {
		return "", nil
	}
	calls, err := json.Marshal(got.Calls)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("infra/cost/counts.yaml says %+v of %s, but the test counts:\n"+
		"calls: %s, read: %v, write: %v, answer: %d, log: %d, hashes: %d, mails: %d, metrics: %d",
		want, name, strings.ReplaceAll(string(calls), `"`, ""), got.Read, got.Write, got.Answer, got.Log, got.Hashes, got.Mails, got.Metrics), nil
}

func near(got, want int) bool {
	return got*5 >= want*4 && got*5 <= want*6
}
