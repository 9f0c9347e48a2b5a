package dev.baton.engine.grammar;

import dev.baton.engine.EngineException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Follows one answer through a grammar. It stands beside the sampler: the thread that chooses a request's tokens also moves
 * its matcher, so that a step which was planned before the last token was known still gets the right mask. Only that thread
 * calls it, except for {@link #failure}.
 */
public final class Matcher {
    private final Grammar grammar;
    private Position position;
    /** Output tokens that {@link #position} stands behind. */
    private int count;
    /** An end token was among them. */
    private boolean ended;

    private volatile @Nullable String failure;

    Matcher(Grammar grammar) {
        this.grammar = grammar;
        this.position = grammar.start();
    }

    /** Longs of a mask. */
    public int maskWords() {
        return grammar.vocabulary().maskWords();
    }

    /**
     * Brings the matcher to an answer's end: takes the tokens that are new since the last call, or begins anew when there are
     * fewer (the request was retracted and is computed again).
     *
     * @param tokens prompt and answer
     * @param from where the answer begins
     * @param to where it ends
     */
    public void follow(int[] tokens, int from, int to) {
        if (to - from < count) {
            position = grammar.start();
            count = 0;
            ended = false;
        }
        while (count < to - from) {
            accept(tokens[from + count]);
        }
    }

    /** Takes the next token; false when the grammar does not allow it (nothing but an end token is allowed from then on). */
    public boolean accept(int token) {
        count++;
        if (ended) {
            return grammar.vocabulary().isEnd(token);
        }
        if (grammar.vocabulary().isEnd(token)) {
            ended = true;
            return position.ends;
        }
        try {
            position = grammar.after(position, token);
        } catch (EngineException e) {
            fail(String.valueOf(e.getMessage()));
        }
        return !position.isDead();
    }

    /** Sets the bits of the tokens that may come next. */
    public void allowed(long[] mask) {
        if (ended || position.isDead()) {
            Arrays.fill(mask, 0);
            grammar.vocabulary().allowEnd(mask);
            return;
        }
        try {
            grammar.mask(position, mask);
        } catch (EngineException e) {
            fail(String.valueOf(e.getMessage()));
            Arrays.fill(mask, 0);
            grammar.vocabulary().allowEnd(mask);
            return;
        }
        for (long word : mask) {
            if (word != 0) {
                return;
            }
        }
        fail("the grammar allows no token here");
        grammar.vocabulary().allowEnd(mask);
    }

    /** Whether the answer may end here. */
    public boolean mayEnd() {
        return ended || position.ends;
    }

    /** Whether nothing but the end may follow. */
    public boolean mustEnd() {
        return ended || position.stacks.length == 0;
    }

    /** Ends the request with an error: the scheduler asks after each token. */
    public void fail(String reason) {
        failure = reason;
        position = Position.DEAD;
    }

    /** Why the request cannot go on; null while it can. From any thread. */
    public @Nullable String failure() {
        return failure;
    }
}
