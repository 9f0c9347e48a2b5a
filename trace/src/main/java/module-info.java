/** Traces: recording spans, writing and merging Kineto-compatible files; reading, aligning and explaining them. */
module dev.baton.trace {
    requires transitive dev.baton.protocol;
    requires java.sql;
    requires static transitive org.jspecify;

    exports dev.baton.trace;
    exports dev.baton.trace.align;
    exports dev.baton.trace.analyse;
    exports dev.baton.trace.classify;
    exports dev.baton.trace.diff;
    exports dev.baton.trace.expert;
    exports dev.baton.trace.log;
    exports dev.baton.trace.read;
    exports dev.baton.trace.reconcile;
    exports dev.baton.trace.record;
    exports dev.baton.trace.report;
    exports dev.baton.trace.step;
    exports dev.baton.trace.write;
}
