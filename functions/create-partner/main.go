// Create-partner makes a partner and its first API key. It has no route: the
// operator invokes it, and IAM says who that may be.
package main

import (
	"crypto/rand"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/app"
	"carrierlink/shared/store"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).create }

func build(env *app.Env) *handler {
	return &handler{
		partners: store.New(dynamodb.NewFromConfig(env.AWS()), env.Text("TABLE_NAME"), store.Options{}),
		now:      time.Now, random: rand.Reader,
	}
}
