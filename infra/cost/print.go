package cost

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// mark stands at figures that rest on a price that nobody could look up for the Region.
const mark = "*"

// Print writes a bill as text.
func Print(w io.Writer, b Bill, prices Prices, stack Stack) error {
	var out strings.Builder
	fmt.Fprintf(&out, "A month (730 hours) in %s, %s: %s connections, policy %s, %s requests\n", prices.Region, prices.Location, number(b.Use.Connections), b.Use.Policy, number(b.Use.Calls))
	fmt.Fprintf(&out, "List prices as far as known on %s in USD, without free tiers and tax.\n\n", prices.Date)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "USD\t\tquantity\tunit\tprice\t\n")
	var sources []string
	unverified := 0.0
	service := ""
	for _, l := range b.Lines {
		marked := l.Price.mark()
		if marked != "" {
			unverified += l.USD()
		}
		if source := fmt.Sprintf("  %s %s", l.Price.Source, l.Price.reading()); !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
		if l.Quantity == 0 {
			continue
		}
		if service != l.Service {
			service = l.Service
			fmt.Fprintf(table, "\t\t\t\t\t%s\n", service)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t  %s\n", dollars(l.USD()), marked, number(l.Quantity), l.Price.Unit, l.Price.text(), l.What)
	}
	fmt.Fprintf(table, "%s\t\t\t\t\ttotal\n", dollars(b.Total()))
	if err := table.Flush(); err != nil {
		return err
	}
	for _, note := range Notes(b.Use, stack) {
		fmt.Fprintf(&out, "\n%s\n", note)
	}
	if unverified > 0 {
		fmt.Fprintf(&out, "\n%s These prices could not be looked up for %s: USD %s of the total rests on those of us-east-1, or on the last ones known.\n", mark, prices.Region, dollars(unverified))
	}
	slices.Sort(sources)
	fmt.Fprintf(&out, "\nSources of the prices:\n%s\n", strings.Join(sources, "\n"))
	_, err := io.WriteString(w, out.String())
	return err
}

// Notes says what the settings of the stack do not allow.
func Notes(use Use, stack Stack) []string {
	checks, err := use.Policy.Checks()
	if err != nil {
		return nil
	}
	if due := use.Connections * checks / minutes; due > stack.RefreshesPerMinute {
		return []string{fmt.Sprintf("So many checks need RefreshesPerMinute of at least %s; its default is %s.", number(math.Ceil(due)), number(stack.RefreshesPerMinute))}
	}
	return nil
}

func (p Price) reading() string {
	if p.Unverified {
		return "(not looked up for the Region)"
	}
	return "(quotes " + p.Read + ")"
}

func (p Price) text() string {
	text := "$" + strconv.FormatFloat(p.USD, 'f', -1, 64)
	if p.Per != 1 {
		text += " for " + number(p.Per)
	}
	return text
}

// Shown are the uses that the README shows.
var Shown = []Use{
	{Connections: 10_000, Policy: Daily, Calls: 100_000},
	{Connections: 100_000, Policy: Daily, Calls: 1_000_000},
	{Connections: 1_000_000, Policy: Daily, Calls: 10_000_000},
}

// Markdown returns the two tables of the README: the lines of an idle stack, and the
// services of stacks in use.
func Markdown(counts Counts, prices Prices, stack Stack, uses []Use) (string, error) {
	idle, err := Compute(Use{Policy: Off}, counts, prices, stack)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "An idle stack, a month of 730 hours in %s, list prices as far as known on %s in USD without free tiers:\n\n", prices.Region, prices.Date)
	out.WriteString("| service | what costs | quantity | price | a month |\n|---|---|---:|---|---:|\n")
	for _, l := range idle.Lines {
		if l.Quantity > 0 {
			fmt.Fprintf(&out, "| %s | %s | %s %s | %s%s | $%s |\n", l.Service, l.What, number(l.Quantity), l.Price.Unit, l.Price.text(), l.Price.mark(), dollars(l.USD()))
		}
	}
	fmt.Fprintf(&out, "| | together | | | **$%s** |\n\nIn use:\n\n", dollars(idle.Total()))

	bills := make([]Bill, len(uses))
	out.WriteString("| service |")
	for i, use := range uses {
		if bills[i], err = Compute(use, counts, prices, stack); err != nil {
			return "", err
		}
		fmt.Fprintf(&out, " %s connections, %s, %s requests |", number(use.Connections), use.Policy, number(use.Calls))
	}
	out.WriteString("\n|---|" + strings.Repeat("---:|", len(uses)) + "\n")
	writeServices(&out, bills)
	out.WriteString("\n\\" + mark + " A price that could not be looked up for the Region, in whole or in part; it is that of us-east-1, or the last one known.\n")
	for _, use := range uses {
		for _, note := range Notes(use, stack) {
			fmt.Fprintf(&out, "\n%s connections, %s: %s\n", number(use.Connections), use.Policy, note)
		}
	}
	return out.String(), nil
}

// writeServices writes a row for each service that costs anything, and the totals.
func writeServices(out *strings.Builder, bills []Bill) {
	var services []string
	for _, l := range bills[0].Lines {
		if !slices.Contains(services, l.Service) {
			services = append(services, l.Service)
		}
	}
	for _, service := range services {
		var row strings.Builder
		costs := false
		for _, b := range bills {
			sum, marked := 0.0, ""
			for _, l := range b.Lines {
				if l.Service == service {
					sum += l.USD()
				}
				if l.Service == service && l.Quantity > 0 {
					marked = max(marked, l.Price.mark())
				}
			}
			costs = costs || sum > 0
			row.WriteString(" $" + dollars(sum) + marked + " |")
		}
		if costs {
			out.WriteString("| " + service + " |" + row.String() + "\n")
		}
	}
	out.WriteString("| together |")
	for _, b := range bills {
		out.WriteString(" **$" + dollars(b.Total()) + "** |")
	}
	out.WriteString("\n")
}

func (p Price) mark() string {
	if p.Unverified {
		return mark
	}
	return ""
}

const (
	begin = "<!-- cost: go generate ./infra/cost -->\n"
	end   = "<!-- cost: end -->\n"
)

// Replace puts text between the marks of a document.
func Replace(document, text string) (string, error) {
	before, rest, found := strings.Cut(document, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("the document has no place for the tables: %q and %q", begin, end)
	}
	return before + begin + text + end + after, nil
}

// number writes a number with commas, and with decimals only if it is small.
func number(n float64) string {
	decimals := 0
	if n < 10 && n != math.Trunc(n) {
		decimals = 2
	}
	return commas(strconv.FormatFloat(n, 'f', decimals, 64))
}

func dollars(n float64) string { return commas(strconv.FormatFloat(n, 'f', 2, 64)) }

func commas(text string) string {
	whole, rest, _ := strings.Cut(text, ".")
	if rest != "" {
		rest = "." + rest
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return whole + rest
}
