package httppeer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations" // the system tables
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
)

// PocketBase returns PocketBase as a Go framework.
func PocketBase() Peer {
	return Peer{
		Name: "pocketbase", Module: "github.com/pocketbase/pocketbase",
		About: "embedded, a public collection read by record ID; its pragmas but synchronous FULL; request logs off",
		Open:  openPocketBase,
	}
}

// pragmas are PocketBase's own, with a sync for every commit.
const pragmas = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=journal_size_limit(200000000)" +
	"&_pragma=synchronous(FULL)&_pragma=foreign_keys(ON)&_pragma=temp_store(MEMORY)&_pragma=cache_size(-32000)"

const (
	collection  = "products"
	recordsPath = "/api/collections/" + collection + "/records/"
)

type pocketBase struct {
	http.Handler
	app *core.BaseApp
	set *dataset.Set
}

var _ Server = (*pocketBase)(nil)

func openPocketBase(ctx context.Context, dir string, d Data) (Server, error) {
	app := core.NewBaseApp(core.BaseAppConfig{
		DataDir:   dir,
		DBConnect: func(path string) (*dbx.DB, error) { return dbx.Open("sqlite", path+pragmas) },
	})
	if err := app.Bootstrap(); err != nil {
		return nil, err
	}
	s := &pocketBase{app: app, set: d.Set}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *pocketBase) start(ctx context.Context) error {
	if err := s.app.RunAllMigrations(); err != nil {
		return err
	}
	settings := s.app.Settings()
	settings.Logs.MaxDays = 0
	if err := s.app.SaveWithContext(ctx, settings); err != nil {
		return err
	}
	if err := s.createCollection(ctx); err != nil {
		return err
	}
	for begin := 0; begin < s.set.Len(); begin += importBatch {
		if err := s.fill(ctx, begin); err != nil {
			return err
		}
	}
	router, err := apis.NewRouter(s.app)
	if err != nil {
		return err
	}
	s.Handler, err = router.BuildMux()
	return err
}

func (s *pocketBase) createCollection(ctx context.Context) error {
	const longest = 1 << 20
	c := core.NewBaseCollection(collection)
	c.ViewRule, c.UpdateRule = types.Pointer(""), types.Pointer("")
	c.Fields.Add(
		&core.TextField{Name: "account", Max: 255},
		&core.TextField{Name: "external_id", Max: 255},
		&core.TextField{Name: "title", Max: 1000},
		&core.TextField{Name: "description", Max: longest},
		&core.JSONField{Name: "images", MaxSize: longest},
		&core.JSONField{Name: "metadata", MaxSize: longest},
		&core.NumberField{Name: "valid_for_days"},
		&core.DateField{Name: "last_used_at"},
		&core.DateField{Name: "expires_at"},
		&core.AutodateField{Name: "created", OnCreate: true},
		&core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true},
	)
	c.AddIndex("products_key", true, "account, external_id", "")
	c.AddIndex("products_expires_at", false, "expires_at", "")
	return s.app.SaveWithContext(ctx, c)
}

// pocketImage is an element of the field images.
type pocketImage struct {
	URL             string          `json:"url"`
	Classifications json.RawMessage `json:"classifications,omitempty"`
}

func (s *pocketBase) fill(ctx context.Context, begin int) error {
	c, err := s.app.FindCollectionByNameOrId(collection)
	if err != nil {
		return err
	}
	return s.app.RunInTransaction(func(tx core.App) error {
		for n, p := range s.set.Batch(begin, begin+importBatch) {
			images := make([]pocketImage, len(p.Images))
			for i, im := range p.Images {
				images[i] = pocketImage{im.URL, im.Classifications}
			}
			record := core.NewRecord(c)
			record.Id = recordID(begin + n)
			record.Set("account", p.Account)
			record.Set("external_id", p.ID)
			record.Set("title", p.Title)
			record.Set("description", p.Description)
			record.Set("images", images)
			record.Set("metadata", types.JSONRaw(p.Metadata))
			record.Set("valid_for_days", p.ValidForDays)
			if p.ValidForDays > 0 {
				record.Set("expires_at", expiry(p.ValidForDays))
			}
			if err := tx.SaveNoValidateWithContext(ctx, record); err != nil {
				return err
			}
		}
		return nil
	})
}

func expiry(days int) time.Time { return time.Now().Add(time.Duration(days) * 24 * time.Hour) }

// recordID returns the ID of product i: PocketBase wants 15 characters.
func recordID(i int) string { return fmt.Sprintf("product%08d", i) }

func (s *pocketBase) Get(i int) Request {
	return Request{Method: http.MethodGet, Path: recordsPath + recordID(i)}
}

func (s *pocketBase) Edit(i int, metadata []byte) Request {
	body := append(append([]byte(`{"metadata":`), metadata...), '}')
	return Request{http.MethodPatch, recordsPath + recordID(i), body}
}

func (s *pocketBase) Use(i int) Request {
	body := fmt.Appendf(nil, `{"last_used_at":%q,"expires_at":%q}`,
		time.Now().UTC().Format(types.DefaultDateLayout), expiry(30).UTC().Format(types.DefaultDateLayout))
	return Request{http.MethodPatch, recordsPath + recordID(i), body}
}

func (s *pocketBase) Product(body []byte) (dataset.Product, error) {
	var in struct {
		Account      string          `json:"account"`
		ExternalID   string          `json:"external_id"`
		Title        string          `json:"title"`
		Description  string          `json:"description"`
		Images       []pocketImage   `json:"images"`
		Metadata     json.RawMessage `json:"metadata"`
		ValidForDays int             `json:"valid_for_days"`
		LastUsedAt   string          `json:"last_used_at"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return dataset.Product{}, err
	}
	p := dataset.Product{
		Key: dataset.Key{Account: in.Account, ID: in.ExternalID}, Title: in.Title, Description: in.Description,
		Metadata: in.Metadata, ValidForDays: in.ValidForDays, Used: in.LastUsedAt != "",
	}
	for _, im := range in.Images {
		p.Images = append(p.Images, dataset.Image{URL: im.URL, Classifications: im.Classifications})
	}
	return p, nil
}

func (s *pocketBase) Close() error { return s.app.ResetBootstrapState() }
