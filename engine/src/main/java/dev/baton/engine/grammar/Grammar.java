package dev.baton.engine.grammar;

import dev.baton.protocol.GrammarSpec;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A compiled grammar over one vocabulary. Shared by all requests that ask for it; safe for several threads. */
public final class Grammar {
    private final GrammarSpec spec;
    final Program program;
    private final MaskTable masks;
    private final GrammarVocabulary vocabulary;
    private final Position start;

    Grammar(GrammarSpec spec, Program program, MaskTable masks, GrammarVocabulary vocabulary) {
        this.spec = spec;
        this.program = program;
        this.masks = masks;
        this.vocabulary = vocabulary;
        this.start = Position.enter(program, program.start);
    }

    /** What it was compiled from. */
    public GrammarSpec spec() {
        return spec;
    }

    /** A matcher at the beginning of an answer. */
    public Matcher matcher() {
        return new Matcher(this);
    }

    /** States of the automaton. */
    public int states() {
        return program.states();
    }

    MaskTable masks() {
        return masks;
    }

    GrammarVocabulary vocabulary() {
        return vocabulary;
    }

    Position start() {
        return start;
    }

    /** The position after a token's bytes; dead when the grammar does not take them. */
    Position after(Position position, int token) {
        byte[] bytes = vocabulary.bytes(token);
        Position next = bytes.length == 0 ? Position.DEAD : position;
        for (int i = 0; i < bytes.length && !next.isDead(); i++) {
            next = next.next(program, program.classOf[bytes[i] & 0xFF]);
        }
        return next;
    }

    /** Sets the bit of every token that may come next, and of the end tokens where the text may end. */
    void mask(Position position, long[] mask) {
        Arrays.fill(mask, 0);
        for (Frame stack : position.stacks) {
            MaskTable.Part part = masks.top(stack.state);
            part.addTo(mask);
            @Nullable Frame frame = stack.below;
            while (part.open() != null && frame != null) {
                part = masks.below(frame.state, part.open());
                part.addTo(mask);
                frame = frame.below;
            }
        }
        if (position.ends) {
            vocabulary.allowEnd(mask);
        }
    }
}
