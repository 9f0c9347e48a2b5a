package dev.baton.engine.disagg.transfer;

import dev.baton.engine.disagg.transfer.PrefillConnection.Control;
import dev.baton.engine.disagg.transfer.PrefillConnection.Done;
import dev.baton.engine.disagg.transfer.PrefillConnection.End;
import dev.baton.engine.disagg.transfer.PrefillConnection.Job;
import dev.baton.engine.disagg.transfer.PrefillConnection.Pages;
import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * What a connection's writing thread does: takes jobs in order, begins to send pages without waiting for those before, and
 * writes the end of a room, or a message about one, when all pages that were begun before it have arrived. So the device
 * always has work queued while a room's end is told.
 */
final class SendLoop {
    /** Pages under way arrive within milliseconds: a park's granularity of 50 us and more would show. */
    private static final long SPIN_NANOS = 2_000_000;

    private static final long POLL_NANOS = 20_000;

    private final PrefillConnection connection;
    private final BlockingQueue<Job> queue;
    private final FrameChannel channel;
    private final PageSender sender;
    private final AtomicBoolean closing;
    private final SendTimes times;
    private final Duration deadline;
    /** In the order of the queue. */
    private final ArrayDeque<UnderWay> underWay = new ArrayDeque<>();

    private long bytesUnderWay;
    /** Since when nothing has arrived and nothing was begun; 0 when something just did. */
    private long restingSince;

    /** A job that is begun, or waits for those before it. */
    private static final class UnderWay {
        private final Job job;
        private long flight;
        private long bytes;

        UnderWay(Job job, long flight) {
            this.job = job;
            this.flight = flight;
        }
    }

    /** @param deadline how long pages under way may take */
    SendLoop(
            PrefillConnection connection,
            BlockingQueue<Job> queue,
            FrameChannel channel,
            PageSender sender,
            AtomicBoolean closing,
            SendTimes times,
            Duration deadline) {
        this.connection = connection;
        this.queue = queue;
        this.channel = channel;
        this.sender = sender;
        this.closing = closing;
        this.times = times;
        this.deadline = deadline;
    }

    /** Runs until the connection is closing; then no copy is under way. */
    void run() throws IOException, InterruptedException {
        try {
            while (!closing.get()) {
                Job job = next();
                if (job != null) {
                    take(job);
                }
                settle();
            }
        } finally {
            try {
                sender.finish();
            } finally {
                underWay.forEach(SendLoop::endCopy);
                underWay.clear();
            }
        }
    }

    /** The next job that can be begun; null after a short rest when none can. */
    private @Nullable Job next() throws IOException, InterruptedException {
        Job head = queue.peek();
        if (head != null && mayBegin(head)) {
            restingSince = 0;
            return queue.remove();
        }
        if (underWay.isEmpty()) {
            channel.flush();
            return queue.poll(200, TimeUnit.MILLISECONDS);
        }
        sender.push();
        rest();
        return null;
    }

    /** Pages under way are not waited for; pages that are not written yet only when nothing else is to be done. */
    private boolean mayBegin(Job head) {
        return underWay.isEmpty()
                || !(head instanceof Pages pages)
                || (bytesUnderWay < sender.mostBegunBytes() && sender.isReady(pages));
    }

    private void rest() throws IOException {
        long now = System.nanoTime();
        if (restingSince == 0) {
            restingSince = now;
        }
        if (now - restingSince < SPIN_NANOS) {
            Thread.onSpinWait();
        } else if (now - restingSince > deadline.toNanos()) {
            throw new IOException("pages have not arrived within " + deadline.toSeconds() + " s");
        } else {
            LockSupport.parkNanos(POLL_NANOS);
        }
    }

    private void take(Job job) throws IOException {
        UnderWay one = new UnderWay(job, sender.flight());
        if (!(job instanceof Pages pages)) {
            underWay.add(one);
        } else if (pages.room().beginCopy()) {
            underWay.add(one);
            long start = System.nanoTime();
            one.bytes = sender.begin(pages, closing);
            one.flight = sender.flight();
            bytesUnderWay += one.bytes;
            times.began(start, System.nanoTime());
        }
    }

    /** Takes leave of what has arrived; several ends travel together. */
    private void settle() throws IOException {
        boolean ended = false;
        for (UnderWay one = underWay.peek(); one != null && sender.hasLanded(one.flight); one = underWay.peek()) {
            underWay.remove();
            bytesUnderWay -= one.bytes;
            restingSince = 0;
            switch (one.job) {
                case Pages pages -> endCopy(one);
                case Done done -> {
                    done(done);
                    ended = true;
                }
                case End end -> {
                    channel.flush();
                    connection.fail("shut down");
                }
                case Control control ->
                    channel.write(control.type(), control.room(), FrameChannel.text(control.text()));
            }
        }
        if (ended) {
            times.ended(System.nanoTime());
            channel.flush();
        }
    }

    private static void endCopy(UnderWay one) {
        if (one.job instanceof Pages pages) {
            pages.room().endCopy(pages.target(), pages.pass(), one.bytes);
        }
    }

    private void done(Done done) throws IOException {
        if (done.room().isFailed()) {
            return;
        }
        long expected = sender.pageBytes() * done.target().pages.length;
        long sent = done.target().passBytes();
        if (sent != expected) {
            done.room().fail("sent " + sent + " bytes of the " + expected + " that the decode server reserved", null);
            return;
        }
        // Orders the copies before the message that tells the decode server to read them.
        VarHandle.fullFence();
        ByteBuffer aux = done.aux().encode();
        ByteBuffer body = FrameChannel.body(8 + aux.remaining());
        body.putLong(done.target().allBytes()).put(aux).flip();
        channel.write(FrameType.DONE, done.room().room(), body);
    }
}
