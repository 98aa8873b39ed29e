package dynamotest_test

import (
	"encoding/json"
)

// shown is an input, for whoever reads of a difference.
func shown(input any) string {
	text, err := json.Marshal(input)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
