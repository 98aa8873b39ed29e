package emf

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
)

// Summary adds up the metrics of many lines. The zero value is empty.
type Summary struct {
	series map[string]*Datum
}

// Add adds the metrics of a line. The error is that of Parse.
func (s *Summary) Add(line string) error {
	found, err := Parse(line)
	for _, d := range found {
		if s.series == nil {
			s.series = map[string]*Datum{}
		}
		at, ok := s.series[d.Key()]
		if !ok {
			at = &Datum{Namespace: d.Namespace, Name: d.Name, Unit: d.Unit, Dimensions: d.Dimensions}
			s.series[d.Key()] = at
		}
		at.Values = append(at.Values, d.Values...)
	}
	return err
}

// Series returns all metrics by namespace, name and dimensions, with their values in the order of the lines.
func (s *Summary) Series() []Datum {
	all := make([]Datum, 0, len(s.series))
	for _, d := range s.series {
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b Datum) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Dimensions, b.Dimensions))
	})
	return all
}

// Write writes a table: a heading, then a line for each series. Columns are separated by spaces, and no value contains one.
func (s *Summary) Write(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "METRIC\tDIMENSIONS\tUNIT\tSAMPLES\tSUM\tMIN\tP50\tP99\tMAX\tLAST")
	for _, series := range s.Series() {
		sorted := slices.Sorted(slices.Values(series.Values))
		sum := 0.0
		for _, v := range sorted {
			sum += v
		}
		n := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", series.Name, series.Dimensions, cmp.Or(series.Unit, "None"), len(sorted), n(sum),
			n(sorted[0]), n(percentile(sorted, 50)), n(percentile(sorted, 99)), n(sorted[len(sorted)-1]), n(series.Values[len(series.Values)-1]))
	}
	return table.Flush()
}

// percentile returns the least of the sorted values that is at least as large as p percent of them.
func percentile(sorted []float64, p float64) float64 {
	return sorted[max(int(math.Ceil(float64(len(sorted))*p/100))-1, 0)]
}
