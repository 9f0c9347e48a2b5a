/** Traces: recording spans and writing Kineto-compatible files; reading and analysing them. */
module dev.baton.trace {
    requires transitive dev.baton.protocol;
    requires static transitive org.jspecify;
}
