package bench

import (
	"os"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
