package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"gopkg.in/yaml.v3"

	"carrierlink/infra/local/emulator"
)

// environment returns the environment variables of the functions of template.yaml. A variable that is the value of
// a parameter has its default; what AWS would make, and what must not limit the bench, has a value here.
func environment(root, tableURL, secretsURL, carrierURL string) ([]string, error) {
	const unlimited = "1000000"
	ours := map[string]string{
		"STAGE": "local", "LOG_LEVEL": "ERROR", "GOMEMLIMIT": "205MiB", "PUBLIC_URL": "http://127.0.0.1",
		"TABLE_NAME": table, "SECRET_PREFIX": "bench/carrier/", "SERVICE_SECRET_ID": "bench-service", "AUSPOST_BASE_URL": carrierURL,
		"QUEUE_URL": secretsURL + "/queue", "SANDBOX_QUEUE_URL": secretsURL + "/sandbox", "DELIVERY_QUEUE_URL": secretsURL + "/deliveries",
		"PARCEL_QUEUE_URL": secretsURL + "/parcels", "SANDBOX_PARCEL_QUEUE_URL": secretsURL + "/parcels-sandbox", "EVENT_BUS_NAME": "bench",
		"MAIL_QUEUE_URL": secretsURL + "/mails", "MAIL_FROM": "carriers@example.com",
		"RATE_LIMIT_PER_MINUTE": unlimited, "SANDBOX_RATE_LIMIT_PER_MINUTE": unlimited, "CARRIER_CALLS_PER_MINUTE": unlimited, "LINKS_PER_MINUTE": unlimited,
		"MAX_CONNECTIONS_PER_ACCOUNT": unlimited, "MAX_DUPLICATES_PER_NUMBER": unlimited, "MAX_LINKS_PER_DAY": unlimited, "MAX_PARCELS_PER_ACCOUNT": unlimited,
	}
	settings, err := defaults(filepath.Join(root, "template.yaml"))
	if err != nil {
		return nil, err
	}
	env := []string{
		"AWS_REGION=" + emulator.Region, "AWS_ACCESS_KEY_ID=" + emulator.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + emulator.SecretAccessKey,
		"AWS_ENDPOINT_URL_DYNAMODB=" + tableURL, "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + secretsURL,
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value, ok := ours[name]
		if !ok {
			if value = settings[name]; value == "" {
				problems = append(problems, fmt.Errorf("the bench has no value for the setting %s of template.yaml", name))
			}
		}
		env = append(env, name+"="+value)
	}
	for name := range ours {
		if _, ok := settings[name]; !ok {
			problems = append(problems, fmt.Errorf("template.yaml has no setting %s, for which the bench has a value", name))
		}
	}
	return env, errors.Join(problems...)
}

// defaults returns the environment variables of all functions of a template. The value is the default of the parameter that
// the variable refers to; empty for any other variable.
func defaults(path string) (map[string]string, error) {
	type function struct {
		Environment struct {
			Variables map[string]yaml.Node `yaml:"Variables"`
		} `yaml:"Environment"`
	}
	var template struct {
		Parameters map[string]struct {
			Default string `yaml:"Default"`
		} `yaml:"Parameters"`
		Globals struct {
			Function function `yaml:"Function"`
		} `yaml:"Globals"`
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	all := []function{template.Globals.Function}
	for id, r := range template.Resources {
		if r.Type != "AWS::Serverless::Function" {
			continue
		}
		var f function
		if err := r.Properties.Decode(&f); err != nil {
			return nil, fmt.Errorf("reading %s of the template: %w", id, err)
		}
		all = append(all, f)
	}
	settings := map[string]string{}
	for _, f := range all {
		for name, value := range f.Environment.Variables {
			settings[name] = ""
			if value.Tag == "!Ref" {
				settings[name] = template.Parameters[value.Value].Default
			}
		}
	}
	return settings, nil
}
