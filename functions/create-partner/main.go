// Create-partner makes a partner and its first API key. It has no route: the
// operator invokes it, and IAM says who that may be.
package main

import (
	"crypto/rand"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/boot"
	"carrierlink/shared/store"
)

func main() { boot.Main(wire) }

func wire(env *boot.Env) any { return build(env).create }

func build(env *boot.Env) *handler {
	return &handler{
		partners: store.New(dynamodb.NewFromConfig(env.AWS()), env.Text("TABLE_NAME"), store.Options{}),
		now:      time.Now, random: rand.Reader,
	}
}
