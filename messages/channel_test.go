package messages_test

import (
	"testing"
	"time"

	"github.com/ebbscale/ebb/messages"
)

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// TestChannelValues: what is written is read back, and is what docs/bootstrap.md
// says, since a shell reads and writes it on the other side.
func TestChannelValues(t *testing.T) {
	t.Parallel()
	for text, drain := range map[string]messages.Drain{
		"7 1764000000 drain": {Epoch: 7, At: unix(1764000000)},
		"8 1764000001 run":   {Epoch: 8, At: unix(1764000001), Run: true},
	} {
		if got, ok := messages.ParseDrain(text); !ok || got != drain || drain.String() != text {
			t.Errorf("drain %q is read as %+v, %t, and %+v is written as %q", text, got, ok, drain, drain.String())
		}
	}
	for text, ack := range map[string]messages.Ack{
		"7 1764000000 drained":  {Epoch: 7, At: unix(1764000000), State: messages.AckDrained},
		"7 1764000000 busy t42": {Epoch: 7, At: unix(1764000000), State: messages.AckBusy, Task: "t42"},
		"8 1764000001 running":  {Epoch: 8, At: unix(1764000001), State: messages.AckRunning},
	} {
		if got, ok := messages.ParseAck(text); !ok || got != ack || ack.String() != text {
			t.Errorf("ack %q is read as %+v, %t, and %+v is written as %q", text, got, ok, ack, ack.String())
		}
	}
	for text, notice := range map[string]messages.Notice{
		"1764000000 interruption 1764000120": {At: unix(1764000000), Kind: messages.NoticeInterruption, When: unix(1764000120)},
		"1764000000 rebalance 0":             {At: unix(1764000000), Kind: messages.NoticeRebalance},
	} {
		if got, ok := messages.ParseNotice(text); !ok || got != notice || notice.String() != text {
			t.Errorf("notice %q is read as %+v, %t, and %+v is written as %q", text, got, ok, notice, notice.String())
		}
	}
	barrier := messages.Barrier{At: unix(1764000000), Autoscaler: "prod"}
	if got, ok := messages.ParseBarrier(barrier.String()); !ok || got != barrier || barrier.String() != "1764000000 prod" {
		t.Errorf("barrier %q is read as %+v, %t", barrier, got, ok)
	}
	sign := messages.Sign{At: unix(1764000000), Epoch: 3}
	if got, ok := messages.ParseSign(sign.String()); !ok || got != sign || sign.String() != "1764000000 3" {
		t.Errorf("sign of life %q is read as %+v, %t", sign, got, ok)
	}
}

// TestBoard: keys are told apart by instance, and what nobody of ours wrote is
// left out.
func TestBoard(t *testing.T) {
	t.Parallel()
	board := messages.NewBoard([]messages.QueueState{
		{Name: "gpu", ID: "q1", Metadata: map[string]string{
			messages.DrainKey("i-1"): "7 1764000000 drain", messages.AckKey("i-1"): "7 1764000003 busy t1",
			messages.NoticeKey("i-2"): "1764000000 interruption 0", messages.SignKey("prod"): "1764000000 3", "cost-center": "4711",
		}},
		{Name: "cpu", ID: "q2", Metadata: map[string]string{messages.AckKey("i-3"): "what is this", "ebb.drain.": "1 1 run"}},
	})
	one := board.Channel("i-1")
	if one.Drain.Epoch != 7 || one.Acked(7) != messages.AckBusy || one.Acked(6) != "" || one.Acked(0) != "" || one.Keys[messages.DrainKey("i-1")] != "q1" {
		t.Errorf("i-1 is %+v", one)
	}
	if two := board.Channel("i-2"); two.Notice.Kind != messages.NoticeInterruption || !two.Notice.When.IsZero() {
		t.Errorf("i-2 is %+v", two)
	}
	if three := board.Channel("i-3"); three.Ack != (messages.Ack{}) || three.Keys[messages.AckKey("i-3")] != "q2" {
		t.Errorf("i-3 is %+v: what cannot be read says nothing, but is there to be removed", three)
	}
	if len(board.Channels()) != 3 || board.Empty() || len(board.Names()) != 2 {
		t.Errorf("%d instances on %v", len(board.Channels()), board.Names())
	}
	if queue, ok := board.Queue("gpu"); !ok || queue.ID != "q1" {
		t.Errorf("queue gpu is %+v, %t", queue, ok)
	}
	if !messages.NewBoard(nil).Empty() {
		t.Error("a board of no queues is not empty")
	}
}

// FuzzChannel: whatever stands in a queue's metadata, reading it does no harm, and
// what was understood is written in a way that is understood the same.
func FuzzChannel(f *testing.F) {
	for _, seed := range []string{
		"7 1764000000 drain", "8 1 run", "7 1 busy t", "7 1 drained", "1 interruption 2", "1 rebalance 0", "1 prod", "1 3", "", " ", "-1 -1 run",
		"18446744073709551615 9223372036854775807 running", "7 1 busy", "0x7 1 drain", "7\t1\ndrain",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if drain, ok := messages.ParseDrain(text); ok {
			if again, ok := messages.ParseDrain(drain.String()); !ok || again != drain {
				t.Errorf("%q is %+v and then %+v, %t", text, drain, again, ok)
			}
		}
		if ack, ok := messages.ParseAck(text); ok {
			if again, ok := messages.ParseAck(ack.String()); !ok || again != ack {
				t.Errorf("%q is %+v and then %+v, %t", text, ack, again, ok)
			}
		}
		if notice, ok := messages.ParseNotice(text); ok {
			if again, ok := messages.ParseNotice(notice.String()); !ok || again != notice {
				t.Errorf("%q is %+v and then %+v, %t", text, notice, again, ok)
			}
		}
		if barrier, ok := messages.ParseBarrier(text); ok {
			if again, ok := messages.ParseBarrier(barrier.String()); !ok || again != barrier {
				t.Errorf("%q is %+v and then %+v, %t", text, barrier, again, ok)
			}
		}
		if sign, ok := messages.ParseSign(text); ok {
			if again, ok := messages.ParseSign(sign.String()); !ok || again != sign {
				t.Errorf("%q is %+v and then %+v, %t", text, sign, again, ok)
			}
		}
		messages.NewBoard([]messages.QueueState{{Metadata: map[string]string{text: text, messages.AckKey("i"): text}}})
	})
}
