package login

import "testing"

func TestBlock(t *testing.T) {
	const service = "auth include su\nsession include su"
	text := with([]byte(service))
	if want := service + "\n" + pamBlock; string(text) != want {
		t.Errorf("with the block:\n%s\nwant\n%s", text, want)
	}
	if again := with(text); string(again) != string(text) {
		t.Errorf("with it twice:\n%s", again)
	}
	// What an administrator added behind it stays.
	if got := without(append(text, "session optional x.so\n"...)); string(got) != service+"\nsession optional x.so\n" {
		t.Errorf("without the block:\n%s", got)
	}
	if got := without([]byte(service)); string(got) != service {
		t.Errorf("without a block there never was:\n%s", got)
	}
	if got := without([]byte(service + "\n" + begin)); string(got) != service+"\n"+begin {
		t.Errorf("a block that was cut is somebody's work:\n%s", got)
	}
}

func TestRecipe(t *testing.T) {
	for _, r := range []Recipe{{Program: "/a'b", Server: "unix:/x"}, {Program: "/a", Server: "unix:/x\ny"}} {
		if _, err := r.Install(); err == nil {
			t.Errorf("%+v: a script would run something else", r)
		}
	}
}
