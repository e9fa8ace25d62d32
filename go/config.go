//go:build cgo

package karakp2p

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:generate go run ./internal/genconfig ../docs/config.md config_keys.go

// Ptr gives a pointer to v, for the fields that are pointers because their zero is a value.
func Ptr[T any](v T) *T { return &v }

// settings turns the fields into keys and texts. Topics are left out: New joins them itself.
func (config *Config) settings() ([]setting, error) {
	var all []setting
	v := reflect.ValueOf(config).Elem()
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("kp2p")
		if key == "" {
			continue
		}
		texts, err := settingTexts(key, v.Field(i))
		if err != nil {
			return nil, err
		}
		if key == "events" {
			texts = config.events(texts)
		}
		for _, text := range texts {
			if key != "topic" {
				all = append(all, setting{key, text})
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(config.Extra)) {
		all = append(all, setting{key, config.Extra[key]})
	}
	return all, nil
}

// events adds the log lines that a Logger needs.
func (config *Config) events(texts []string) []string {
	names := texts
	if config.Logger != nil && !slices.Contains(names, "log") {
		names = append(slices.Clone(names), "log")
	}
	if len(names) == 0 {
		return nil
	}
	return []string{strings.Join(names, ",")}
}

// settingTexts is the value of one field: none when it is zero.
func settingTexts(key string, v reflect.Value) ([]string, error) {
	if v.IsZero() {
		return nil, nil
	}
	switch x := v.Interface().(type) {
	case string:
		return []string{x}, nil
	case []string:
		return x, nil
	case Key:
		return []string{x.text}, nil
	case int:
		return []string{strconv.Itoa(max(x, 0))}, nil
	case int64:
		return []string{strconv.FormatInt(max(x, 0), 10)}, nil
	case time.Duration:
		return []string{durationText(x)}, nil
	case *bool:
		return []string{strconv.FormatBool(*x)}, nil
	case *float64:
		return []string{strconv.FormatFloat(*x, 'g', -1, 64)}, nil
	}
	return nil, fmt.Errorf("karakp2p: configuration key %s has a field of type %s", key, v.Type())
}

// durationText rounds up to the millisecond, the smallest unit that the library knows.
func durationText(d time.Duration) string {
	if d < 0 {
		return "0ms"
	}
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10) + "ms"
}
