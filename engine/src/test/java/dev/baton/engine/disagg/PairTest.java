package dev.baton.engine.disagg;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** A test of pairs: a bootstrap registry, and what is closed behind each test, the youngest first. */
abstract class PairTest {
    protected FakeRegistry registry;
    private final List<AutoCloseable> opened = new ArrayList<>();

    @BeforeEach
    void start() throws IOException {
        registry = opened(new FakeRegistry());
    }

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable each : opened.reversed()) {
            each.close();
        }
    }

    /** Closes it behind the test. */
    protected final <T extends AutoCloseable> T opened(T one) {
        opened.add(one);
        return one;
    }
}
