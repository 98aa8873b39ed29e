// Package client is a client of the API, generated from infra/openapi.yaml. The end-to-end suite speaks through it, so a
// contract that no client can be made of fails there.
package client

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.0 -generate types,client -package client -o client.gen.go ../../openapi.yaml
