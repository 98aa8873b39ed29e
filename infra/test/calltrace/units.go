package calltrace

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// Units are what DynamoDB bills for calls, indexes included.
type Units struct{ Read, Write float64 }

// Units returns what the calls since the last Reset have used, as the engine counts it.
func (w *Transport) Units() Units {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.units
}

// askForUnits makes a call of DynamoDB ask what it uses, and returns the least that AWS
// bills for it. The engines do not check signatures, so the body may change after the SDK
// has signed it.
func askForUnits(name string, r *http.Request) (least Units, err error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return least, err
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(text, &body); err != nil {
		return least, err
	}
	least, err = leastUnits(name, text)
	if err != nil {
		return least, err
	}
	body["ReturnConsumedCapacity"] = json.RawMessage(`"INDEXES"`)
	if text, err = json.Marshal(body); err != nil {
		return least, err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	return least, nil
}

// leastUnits returns what AWS bills for a read that finds nothing, for which the engines
// count nothing: a unit for each key, half a unit if the read is eventually consistent.
//
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
func leastUnits(name string, text []byte) (Units, error) {
	type read struct {
		ConsistentRead bool              `json:"ConsistentRead"`
		Keys           []json.RawMessage `json:"Keys"`
	}
	unit := func(consistent bool) float64 {
		if consistent {
			return 1
		}
		return 0.5
	}
	var body struct {
		read
		RequestItems map[string]read `json:"RequestItems"`
	}
	switch name {
	case "Query", "GetItem":
		err := json.Unmarshal(text, &body)
		return Units{Read: unit(body.ConsistentRead)}, err
	case "BatchGetItem":
		err := json.Unmarshal(text, &body)
		total := 0.0
		for _, table := range body.RequestItems {
			total += float64(len(table.Keys)) * unit(table.ConsistentRead)
		}
		return Units{Read: total}, err
	}
	return Units{}, nil
}

// isTable tells whether a request is a call of DynamoDB.
func isTable(r *http.Request) bool {
	return r.Body != nil && strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_")
}

// used returns what a successful call of DynamoDB says that it used. The body stays
// readable.
func used(name string, least Units, resp *http.Response) (Units, error) {
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return Units{}, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	var answer struct {
		ConsumedCapacity json.RawMessage `json:"ConsumedCapacity"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return Units{}, err
	}
	if len(answer.ConsumedCapacity) == 0 { // an error
		return Units{}, nil
	}
	type capacity struct {
		CapacityUnits float64 `json:"CapacityUnits"`
	}
	var all []capacity // one for each table
	if answer.ConsumedCapacity[0] == '[' {
		err = json.Unmarshal(answer.ConsumedCapacity, &all)
	} else {
		all = make([]capacity, 1)
		err = json.Unmarshal(answer.ConsumedCapacity, &all[0])
	}
	total := 0.0
	for _, c := range all {
		total += c.CapacityUnits
	}
	switch name {
	case "GetItem", "BatchGetItem", "Query", "Scan":
		return Units{Read: max(total, least.Read)}, err
	}
	return Units{Write: total}, err
}
