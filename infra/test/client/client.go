// Package client is a client of the API, generated from infra/openapi.yaml. The end-to-end suite uses it, and so fails for
// a contract from which no working client can be generated.
package client

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.0 -generate types,client -package client -o client.gen.go ../../openapi.yaml
