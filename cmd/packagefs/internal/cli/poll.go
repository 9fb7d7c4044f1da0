package cli

import "time"

// Poll calls done again and again until it says so, fails, or env ends.
func Poll(env *Env, done func() (bool, error)) error {
	const most = 200 * time.Millisecond
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, most) {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-env.Done():
			return env.Err()
		case <-time.After(wait):
		}
	}
}
