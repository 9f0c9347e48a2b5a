/** The serving engine: request, cache, schedule, forward, arch, sample, parallel, disagg. */
module dev.baton.engine {
    requires transitive dev.baton.protocol;
    requires transitive dev.baton.model;
    requires transitive dev.baton.tensor;
    requires transitive dev.baton.trace;
    requires java.net.http;
    requires jdk.net;
    requires jdk.incubator.vector;
    requires static transitive org.jspecify;

    exports dev.baton.engine;
    exports dev.baton.engine.arch;
    exports dev.baton.engine.balance;
    exports dev.baton.engine.check;
    exports dev.baton.engine.disagg;
    exports dev.baton.engine.disagg.transfer;
    exports dev.baton.engine.forward;
    exports dev.baton.engine.grammar;
    exports dev.baton.engine.node;
    exports dev.baton.engine.parallel;
    exports dev.baton.engine.rehearse;
    exports dev.baton.engine.sample;
    exports dev.baton.engine.request;
    exports dev.baton.engine.schedule;
}
