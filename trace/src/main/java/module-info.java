/** Traces: recording spans, writing and merging Kineto-compatible files. */
module dev.baton.trace {
    requires transitive dev.baton.protocol;
    requires static transitive org.jspecify;

    exports dev.baton.trace;
    exports dev.baton.trace.read;
    exports dev.baton.trace.record;
    exports dev.baton.trace.write;
}
