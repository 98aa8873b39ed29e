package e2e

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	gocmp "github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
)

// The least that a crawl after the whole suite must see. With less it has looked in the wrong place.
const (
	leastLines   = 400
	leastItems   = 300
	leastErrors  = 200
	leastSecrets = 300
)

// inspectRemains checks what the suite has left behind: no secret is in a log, an error or an item; every connection has
// its secret and there are no other secrets; and IAM is enforced.
func inspectRemains(ctx context.Context, whole bool) error {
	if err := learnServiceSecret(ctx); err != nil {
		return err
	}
	var errs []error
	lines, err := crawlLogs(ctx, whole)
	errs = append(errs, err)
	for _, body := range api.failures {
		if leaked := api.secrets.in(string(body), true); leaked != "" {
			errs = append(errs, fmt.Errorf("an error answer holds %s", leaked))
		}
	}
	items, err := allItems(ctx)
	errs = append(errs, err, crawlItems(items), everyEvent(whole, items), everyEventIsPublished(ctx, items), everyEventIsDelivered(ctx, items), sameSecretsAsConnections(ctx, items), crawlQueues(ctx), crawlMails(ctx), iamIsEnforced(ctx), leastPrivilege(ctx, whole))
	found := fmt.Sprintf("%d lines of logs, %d items, %d errors, %d secrets", lines, len(items), len(api.failures), api.secrets.count())
	if whole && (lines < leastLines || len(items) < leastItems || len(api.failures) < leastErrors || api.secrets.count() < leastSecrets) {
		errs = append(errs, fmt.Errorf("the crawl saw only %s", found))
	}
	fmt.Fprintln(os.Stderr, "e2e crawled "+found)
	return errors.Join(errs...)
}

// learnServiceSecret adds the secret that CloudFormation made, which belongs to no connection.
func learnServiceSecret(ctx context.Context) error {
	names, err := secretNames(ctx, false)
	if err != nil {
		return err
	}
	found := 0
	for _, name := range names {
		if strings.HasPrefix(name, service.SecretPrefix) {
			continue
		}
		out, err := secretsmanager.NewFromConfig(service.AWSConfig()).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
		if err != nil {
			return fmt.Errorf("reading the service secret: %w", err)
		}
		learnKeys(aws.ToString(out.SecretString))
		found++
	}
	if found != 1 {
		return fmt.Errorf("there are %d service secrets, want 1", found)
	}
	return nil
}

// learnKeys adds the keys of a value of the service secret.
func learnKeys(text string) {
	var value struct {
		Keys []struct {
			Text string `json:"text"`
		} `json:"keys"`
	}
	if json.Unmarshal([]byte(text), &value) != nil {
		api.secrets.add(text) // as CloudFormation made it
	}
	for _, k := range value.Keys {
		api.secrets.add(k.Text)
	}
}

// secretNames lists the names of all secrets, optionally with those that are scheduled for deletion.
func secretNames(ctx context.Context, scheduled bool) ([]string, error) {
	var names []string
	pages := secretsmanager.NewListSecretsPaginator(secretsmanager.NewFromConfig(service.AWSConfig()), &secretsmanager.ListSecretsInput{
		IncludePlannedDeletion: &scheduled,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the secrets: %w", err)
		}
		for _, s := range page.SecretList {
			names = append(names, aws.ToString(s.Name))
		}
	}
	return names, nil
}

// crawlLogs reads the output of the functions, the logs that the emulator collected from it, and its own output. After the
// whole suite every function must have printed something.
func crawlLogs(ctx context.Context, whole bool) (lines int, err error) {
	var errs []error
	logged := map[string]bool{}
	for function, name := range service.FunctionNames {
		printed, err := service.Logs(ctx, function)
		if err != nil {
			return lines, err
		}
		if whole && len(printed) == 0 {
			errs = append(errs, fmt.Errorf("%s has printed nothing", function))
		}
		collected, err := collectedLogs(ctx, "/aws/lambda/"+name)
		if err != nil {
			errs = append(errs, err)
		}
		lines += len(printed) + len(collected)
		for _, line := range printed {
			for _, id := range idsIn.FindAllString(line, -1) {
				logged[id] = true
			}
			if strings.Contains(line, "panic") {
				errs = append(errs, fmt.Errorf("%s panicked: %.500s", function, line))
			}
		}
		for _, line := range append(printed, collected...) {
			if leaked := cmp.Or(api.secrets.in(line, true), tokens.in(line, false)); leaked != "" {
				errs = append(errs, fmt.Errorf("the log of %s holds %s", function, leaked))
			}
		}
	}
	for id := range api.ids {
		if !logged[id] {
			errs = append(errs, fmt.Errorf("request %s is in no log", id))
		}
	}
	log, err := service.EmulatorLog()
	if err != nil {
		return lines, errors.Join(append(errs, err)...)
	}
	if leaked := api.secrets.in(string(log), true); leaked != "" {
		errs = append(errs, fmt.Errorf("the emulator's log holds %s", leaked))
	}
	return lines + bytes.Count(log, []byte("\n")), errors.Join(errs...)
}

var idsIn = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// collectedLogs is a log group of CloudWatch.
func collectedLogs(ctx context.Context, group string) ([]string, error) {
	var lines []string
	token := ""
	for {
		body := map[string]any{"logGroupName": group}
		if token != "" {
			body["nextToken"] = token
		}
		text, err := signed(ctx, "logs", "Logs_20140328.FilterLogEvents", body)
		if err != nil {
			return nil, fmt.Errorf("reading log group %s: %w", group, err)
		}
		var page struct {
			Events []struct {
				Message string `json:"message"`
			} `json:"events"`
			NextToken string `json:"nextToken"`
		}
		if err := json.Unmarshal(text, &page); err != nil {
			return nil, fmt.Errorf("reading log group %s: %w", group, err)
		}
		for _, e := range page.Events {
			lines = append(lines, e.Message)
		}
		if token = page.NextToken; token == "" || len(page.Events) == 0 {
			return lines, nil
		}
	}
}

// signed calls an AWS service with the protocol JSON 1.1, as the root user.
func signed(ctx context.Context, name, target string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, service.EmulatorURL+"/", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target)
	return sendSigned(ctx, req, name, text)
}

func sendSigned(ctx context.Context, req *http.Request, name string, body []byte) ([]byte, error) {
	credentials, err := service.AWSConfig().Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(hash[:]), name, emulator.Region, time.Now()); err != nil {
		return nil, err
	}
	out, status, err := send(req)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("%s answered %d %.300s", name, status, out)
	}
	return out, err
}

func send(req *http.Request) ([]byte, int, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	return out, resp.StatusCode, err
}

type item = map[string]types.AttributeValue

func table() *dynamodb.Client { return dynamodb.NewFromConfig(service.AWSConfig()) }

func allItems(ctx context.Context) ([]item, error) {
	var items []item
	pages := dynamodb.NewScanPaginator(table(), &dynamodb.ScanInput{TableName: &service.TableName, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("scanning the table: %w", err)
		}
		items = append(items, page.Items...)
	}
	return items, nil
}

// crawlItems searches the table for credentials. An account number is the owner's own data and may be there.
func crawlItems(items []item) error {
	var errs []error
	for _, it := range items {
		var text strings.Builder
		if err := flatten(&text, it); err != nil {
			errs = append(errs, err)
		}
		// Items about checks, a carrier's health, events and what is delivered must not contain an account number either.
		told := false
		for _, prefix := range []string{"HISTORY#", "HEALTH#", "EVENTS#", "WEBHOOK#", "MAILS#"} {
			told = told || strings.HasPrefix(str(it, "pk"), prefix)
		}
		if leaked := cmp.Or(api.secrets.in(text.String(), told), tokens.in(text.String(), false)); leaked != "" {
			errs = append(errs, fmt.Errorf("item %s %s holds %s", str(it, "pk"), str(it, "sk"), leaked))
		}
		if str(it, "sk") == "IDEMPOTENCY" && it["sealed"] == nil {
			errs = append(errs, fmt.Errorf("item %s has no sealed answer: its claim was not released", str(it, "pk")))
		}
	}
	return errors.Join(errs...)
}

// flatten writes every name and value of an item, decompressed.
func flatten(out *strings.Builder, it item) error {
	for name, value := range it {
		out.WriteString(name + " ")
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			out.WriteString(v.Value)
		case *types.AttributeValueMemberN:
			out.WriteString(v.Value)
		case *types.AttributeValueMemberBOOL:
			out.WriteString(strconv.FormatBool(v.Value))
		case *types.AttributeValueMemberSS:
			out.WriteString(strings.Join(v.Value, " "))
		case *types.AttributeValueMemberNS:
			out.WriteString(strings.Join(v.Value, " "))
		case *types.AttributeValueMemberL:
			for i, member := range v.Value {
				if err := flatten(out, item{strconv.Itoa(i): member}); err != nil {
					return err
				}
			}
		case *types.AttributeValueMemberM:
			if err := flatten(out, v.Value); err != nil {
				return err
			}
		case *types.AttributeValueMemberB:
			out.Write(v.Value)
			// Encrypted data may begin like this too, although it is not compressed.
			if packed, err := gzip.NewReader(bytes.NewReader(v.Value)); err == nil {
				if _, err := io.Copy(out, packed); err != nil && name != "sealed" {
					return err
				}
			}
		default:
			return fmt.Errorf("attribute %s is a %T", name, value)
		}
		out.WriteString("\n")
	}
	return nil
}

func str(it item, name string) string {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

// sameSecretsAsConnections checks that a row names every secret, that every row has its secret, and that no intent and no
// other work is left. The secret of an unlinked connection, or of a deleted account, must be scheduled for deletion.
func sameSecretsAsConnections(ctx context.Context, items []item) error {
	var found [2][]string // without and with those that are scheduled for deletion
	for i, scheduled := range []bool{false, true} {
		names, err := secretNames(ctx, scheduled)
		if err != nil {
			return err
		}
		found[i] = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, service.SecretPrefix) })
		slices.Sort(found[i])
	}
	var live, all []string
	var errs []error
	for _, it := range items {
		id, ok := strings.CutPrefix(str(it, "sk"), "CARRIER#")
		if !ok {
			continue
		}
		name := service.SecretPrefix + strings.TrimPrefix(str(it, "pk"), "ACCOUNT#") + "/" + id
		all = append(all, name)
		if str(it, "status") != "disconnected" && str(it, "standing") != "deleted" {
			live = append(live, name)
		}
		if str(it, "status") == "linking" || str(it, "work") != "" {
			errs = append(errs, fmt.Errorf("connection %s is %s %q still", id, str(it, "status"), str(it, "work")))
		}
	}
	for i, rows := range [][]string{live, all} {
		slices.Sort(rows)
		if !slices.Equal(found[i], rows) {
			errs = append(errs, fmt.Errorf("secrets (-) and connections (+, with deleted ones: %t) do not match:\n%s", i == 1, gocmp.Diff(found[i], rows)))
		}
	}
	fmt.Fprintf(os.Stderr, "e2e found %d connections and %d secrets, %d of them scheduled for deletion\n", len(all), len(found[1]), len(found[1])-len(found[0]))
	return errors.Join(errs...)
}

// nothingLinked fails the test if the table has a trace of a link. The end of the suite checks that no secret was left.
func nothingLinked(t *testing.T, m merchant, carrier, number string) {
	t.Helper()
	if it := getItem(t, accountPK(m.ID), "NUMBER#"+carrier+"#"+number); it != nil {
		t.Errorf("the table holds the refused number: %v", it)
	}
}

func accountPK(id int64) string { return "ACCOUNT#" + strconv.FormatInt(id, 10) }

func getItem(t *testing.T, pk, sk string) item {
	t.Helper()
	out, err := table().GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: &service.TableName, Key: itemKey(pk, sk), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		t.Fatalf("reading %s %s: %v", pk, sk, err)
	}
	return out.Item
}

// connectionsOf reads all connections of an account, including intents.
func connectionsOf(t *testing.T, m merchant) []item {
	t.Helper()
	out, err := table().Query(t.Context(), &dynamodb.QueryInput{
		TableName: &service.TableName, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :pk AND begins_with(sk, :sk)"),
		ExpressionAttributeValues: item{":pk": txt(accountPK(m.ID)), ":sk": txt("CARRIER#")},
	})
	if err != nil {
		t.Fatalf("listing the connections: %v", err)
	}
	return out.Items
}

func itemKey(pk, sk string) item {
	return item{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk}}
}

// setItem changes attributes of an existing item directly in the table; nil removes one.
func setItem(t *testing.T, pk, sk string, changes item) {
	t.Helper()
	var set, remove []string
	names, values := map[string]string{"#pk": "pk"}, item{}
	for name, value := range changes {
		names["#"+name] = name
		if value == nil {
			remove = append(remove, "#"+name)
			continue
		}
		set = append(set, "#"+name+" = :"+name)
		values[":"+name] = value
	}
	in := &dynamodb.UpdateItemInput{
		TableName: &service.TableName, Key: itemKey(pk, sk), ExpressionAttributeNames: names, ConditionExpression: aws.String("attribute_exists(#pk)"),
	}
	update := ""
	if len(set) > 0 {
		update, in.ExpressionAttributeValues = "SET "+strings.Join(set, ", "), values
	}
	if len(remove) > 0 {
		update += " REMOVE " + strings.Join(remove, ", ")
	}
	in.UpdateExpression = &update
	if _, err := table().UpdateItem(t.Context(), in); err != nil {
		t.Fatalf("changing %s %s: %v", pk, sk, err)
	}
}

func txt(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// keySK returns the sort key of an API key's item.
func keySK(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "KEY#" + hex.EncodeToString(sum[:])
}

// rootFile reads a file of the repository.
func rootFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := emulator.File(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The crawl finds a secret in every form in which it could have been written.
func TestCanarySings(t *testing.T) {
	t.Parallel()
	s := newSecrets()
	s.learn("cl_live_000000000000000000", []byte(`{"api_key":"key-1 é\"+","api_secret":"s3cr3t/é","password":"pa\u0073sword","account_number":"0012345600"}`))
	for _, leak := range []string{
		"x key-1 é\"+ y", `"key-1 é\"+"`, "s3cr3t/é", "s3cr3t%2F%C3%A9", "key-1+%C3%A9%22%2B", "password", "cl_live_000000000000000000", "number=0012345600,",
		base64.StdEncoding.EncodeToString([]byte("s3cr3t/é")), "Basic " + base64.StdEncoding.EncodeToString([]byte(`key-1 é"+:s3cr3t/é`)),
		base64.RawURLEncoding.EncodeToString([]byte("password and more")),
	} {
		if s.in(leak, true) == "" {
			t.Errorf("%s was not found", leak)
		}
	}
	for _, fine := range []string{"", "pa55word", "s3cr3t/e", "00123456001", "cl_live_0000"} {
		if found := s.in(fine, true); found != "" {
			t.Errorf("%s was found: %s", fine, found)
		}
	}
}
