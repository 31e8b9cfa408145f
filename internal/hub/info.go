package hub

import (
	"encoding/json"
	"os"
	"time"
)

// Info is what a session says of itself in its session key.
type Info struct {
	Version int               `json:"v"`
	Host    string            `json:"host,omitempty"`
	PID     int               `json:"pid,omitempty"`
	Since   time.Time         `json:"since"` // when the session was made
	Labels  map[string]string `json:"labels,omitempty"`
}

// Describe is the Info of this process.
func Describe(labels map[string]string) Info {
	host, _ := os.Hostname() // an unknown host is no reason not to work
	return Info{Version: 1, Host: host, PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Millisecond), Labels: labels}
}

// String is the value of the session key.
func (i Info) String() string {
	value, err := json.Marshal(i)
	if err != nil {
		panic("hub: an Info is always valid JSON: " + err.Error()) // strings, an int and a time of this century
	}
	return string(value)
}

// ParseInfo reads a session key. What cannot be read, because somebody else wrote it, says nothing; what a later version added is ignored.
func ParseInfo(value []byte) Info {
	var info Info
	if json.Unmarshal(value, &info) != nil {
		return Info{}
	}
	return info
}
