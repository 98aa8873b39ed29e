package main

import (
	"context"
	"net/http"

	"carrierlink/shared/httpapi"
)

// health answers without a call to AWS.
func health(context.Context, *httpapi.Request) (*httpapi.Response, error) {
	return httpapi.JSON(http.StatusOK, map[string]string{"status": "ok"}), nil
}

// openAPI answers with the contract.
func openAPI(context.Context, *httpapi.Request) (*httpapi.Response, error) {
	return &httpapi.Response{Status: http.StatusOK, Body: contract}, nil
}
