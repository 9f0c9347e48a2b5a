package dev.baton.tensor.parallel;

import dev.baton.tensor.TensorException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** This node's end of the messages from one rank to another one elsewhere: what has been posted and has not ended. */
abstract sealed class NodeLine permits OutgoingLine, IncomingLine {
    private final int depth;
    /** Of the whole group. */
    private final AtomicReference<@Nullable TensorException> failure;

    /** In the order of the posts. */
    private final ArrayDeque<PostedTransfer> open = new ArrayDeque<>();
    /** Bytes of the oldest one move: only who moves them ends it. */
    private boolean moves;

    NodeLine(int depth, AtomicReference<@Nullable TensorException> failure) {
        this.depth = depth;
        this.failure = failure;
    }

    final @Nullable TensorException failure() {
        return failure.get();
    }

    /** Under the line's monitor. */
    final void add(PostedTransfer transfer) {
        TensorException failed = failure.get();
        if (failed != null) {
            throw transfer.again(failed);
        }
        if (open.size() == depth) {
            throw transfer.tooMany(depth);
        }
        open.addLast(transfer);
    }

    /** Under the line's monitor. */
    final @Nullable PostedTransfer oldest() {
        return open.peekFirst();
    }

    /** Under the line's monitor. */
    final void removeOldest() {
        open.removeFirst();
    }

    final synchronized boolean moves() {
        return moves;
    }

    final synchronized void moves(boolean now) {
        moves = now;
        TensorException failed = failure.get();
        if (!now && failed != null) {
            failAll(failed);
        }
        notifyAll();
    }

    private void failAll(TensorException cause) {
        open.forEach(transfer -> transfer.fail(cause));
        open.clear();
    }

    /** The group has failed. */
    final synchronized void fail(TensorException cause) {
        if (!moves) {
            failAll(cause);
        }
    }

    /** Waits until no bytes move, so that their memory may be given back. */
    final synchronized void awaitQuiet(Duration limit) {
        long deadline = System.nanoTime() + limit.toNanos();
        boolean interrupted = false;
        while (moves && deadline - System.nanoTime() > 0) {
            try {
                wait(Math.max(1, (deadline - System.nanoTime()) / 1_000_000));
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
