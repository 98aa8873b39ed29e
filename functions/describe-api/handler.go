package main

import (
	"context"
	"net/http"

	"carrierlink/shared/httpapi"
)

// health says that the API answers. It asks nothing of AWS.
func health(context.Context, *httpapi.Request) (*httpapi.Response, error) {
	return httpapi.JSON(http.StatusOK, map[string]string{"status": "ok"}), nil
}

// openAPI is the contract itself.
func openAPI(context.Context, *httpapi.Request) (*httpapi.Response, error) {
	return &httpapi.Response{Status: http.StatusOK, Body: contract}, nil
}
