package auspost

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/connection"
)

const (
	// maxText bounds a text that we read, in characters; the longest documented one has
	// 50.
	maxText = 200
	// maxProducts bounds the products of an account.
	maxProducts = 1000
)

// ParseContract parses a snapshot: an account as a good Reading keeps it in Raw. The
// error says why a text is not one.
func ParseContract(raw []byte) (connection.Contract, error) {
	doc, err := parseObject(raw)
	if err != nil {
		return connection.Contract{}, err
	}
	return readContract(doc)
}

// readContract reads the fields of an account, valid JSON, that the service
// understands (infra/docs/auspost.md, "Response fields"). Names are case-sensitive, a
// null is an absent member, and of members with the same name the last counts.
//
// Some fields must be right: account_number is a text, and the only one; expired and
// credit_blocked are booleans, or "true" and "false" like some of the carrier's own
// fields; postage_products is a list of objects; a product's contract is an object.
// Anything else there is an error, because a guess could make an account seem usable
// that is not, or is another one. All other fields stay empty when they have the
// wrong type or, for dates, another form.
func readContract(doc []byte) (connection.Contract, error) {
	var (
		c   connection.Contract
		err error
	)
	for m := range members(doc) {
		if m.value[0] == 'n' {
			continue
		}
		switch m.name {
		case "account_number":
			number := textOf(m.value)
			if m.value[0] != '"' || number == "" || c.AccountNumber != "" && c.AccountNumber != number {
				return connection.Contract{}, &failure{text: "account_number is not a single text"}
			}
			c.AccountNumber = number
		case "name":
			c.Name = clip(textOf(m.value))
		case "valid_from":
			c.ValidFrom = dateOf(m.value)
		case "valid_to":
			c.ValidTo = dateOf(m.value)
		case "expired":
			c.Expired, err = flagOf(m)
		case "credit_blocked":
			c.CreditBlocked, err = flagOf(m)
		case "merchant_location_id":
			c.MerchantLocationID = clip(textOf(m.value))
		case "postage_products":
			c.Products, err = productsOf(m.value)
		case "addresses":
			c.Suburb, c.State = suburbOf(m.value)
		case "details":
			c.ABNLastThree = abnEndOf(m.value)
		}
		if err != nil {
			return connection.Contract{}, err
		}
	}
	if c.AccountNumber == "" {
		return connection.Contract{}, &failure{text: "account_number is absent"}
	}
	return c, nil
}

// suburbOf returns the suburb and state of the first address; answers with more have
// not been seen.
func suburbOf(value json.RawMessage) (suburb, state string) {
	if value[0] != '[' {
		return "", ""
	}
	for address := range members(value) {
		for m := range members(address.value) {
			switch m.name {
			case "suburb":
				suburb = clip(textOf(m.value))
			case "state":
				state = clip(textOf(m.value))
			}
		}
		return suburb, state
	}
	return "", ""
}

// abnEndOf returns the last three digits of the Australian Business Number in the
// details; nothing if it does not have eleven digits.
func abnEndOf(details json.RawMessage) (lastThree string) {
	for m := range members(details) {
		if m.name != "abn" {
			continue
		}
		lastThree = ""
		digits := strings.ReplaceAll(textOf(m.value), " ", "")
		if len(digits) == 11 && strings.Trim(digits, "0123456789") == "" {
			lastThree = digits[8:]
		}
	}
	return lastThree
}

func productsOf(value json.RawMessage) ([]connection.Product, error) {
	if value[0] != '[' {
		return nil, &failure{text: "postage_products is not a list"}
	}
	var products []connection.Product
	for e := range members(value) {
		if e.value[0] != '{' {
			return nil, &failure{text: "postage_products holds something other than products"}
		}
		if len(products) == maxProducts {
			return nil, &failure{"postage_products is too long", connection.ErrTooLarge}
		}
		p, err := productOf(e.value)
		if err != nil {
			return nil, err
		}
		products = append(products, p)
	}
	return products, nil
}

func productOf(value json.RawMessage) (connection.Product, error) {
	var p connection.Product
	for m := range members(value) {
		switch {
		case m.name == "product_id":
			p.ID = clip(textOf(m.value))
		case m.name == "type":
			p.Type = clip(textOf(m.value))
		case m.name == "group": // absent on international products
			p.Group = clip(textOf(m.value))
		case m.name == "contract" && m.value[0] != 'n':
			if m.value[0] != '{' {
				return connection.Product{}, &failure{text: "a product's contract is not an object"}
			}
			for in := range members(m.value) {
				var err error
				switch in.name {
				case "valid_to":
					p.ValidTo = dateOf(in.value)
				case "expired":
					p.Expired, err = flagOf(in)
				case "max_item_count":
					p.MaxItemCount = countOf(in.value)
				}
				if err != nil {
					return connection.Product{}, err
				}
			}
		}
	}
	return p, nil
}

type member struct {
	name  string          // empty for an element of a list
	value json.RawMessage // never empty
}

// members iterates over a valid JSON object or list; nothing for any other value.
func members(doc []byte) iter.Seq[member] {
	return func(yield func(member) bool) {
		d := json.NewDecoder(bytes.NewReader(doc))
		open, err := d.Token()
		for err == nil && d.More() {
			var m member
			if open == json.Delim('{') {
				var name json.Token
				if name, err = d.Token(); err != nil {
					return
				}
				m.name, _ = name.(string)
			}
			if err = d.Decode(&m.value); err != nil || len(m.value) == 0 || !yield(m) {
				return
			}
		}
	}
}

// textOf returns a JSON string without outer blanks, or a number as written:
// identifiers and codes have been seen as both. Anything else is empty.
func textOf(value json.RawMessage) string {
	switch c := value[0]; {
	case c == '"':
		var s string
		_ = json.Unmarshal(value, &s) // valid JSON
		return strings.TrimSpace(s)
	case c == '-' || c >= '0' && c <= '9':
		return string(value)
	}
	return ""
}

// clip cuts a text to maxText characters.
func clip(s string) string {
	n := 0
	for i := range s {
		if n == maxText {
			return s[:i]
		}
		n++
	}
	return s
}

func dateOf(value json.RawMessage) string {
	s := textOf(value)
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return ""
	}
	return s
}

// countOf returns a small whole number, also from a text; anything else is zero.
func countOf(value json.RawMessage) int {
	n, _ := strconv.Atoi(textOf(value)) // 0 with an error
	return max(n, 0)
}

func flagOf(m member) (bool, error) {
	switch text, first := strings.ToLower(textOf(m.value)), m.value[0]; {
	case text == "true", first == 't':
		return true, nil
	case text == "false", first == 'f', first == 'n':
		return false, nil
	}
	return false, &failure{text: m.name + " is not a boolean"}
}
