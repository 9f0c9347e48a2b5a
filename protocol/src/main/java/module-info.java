/** What travels between programs: requests, replies, flags, log lines and result files of the dialect. */
module dev.baton.protocol {
    requires transitive tools.jackson.databind;
    requires transitive com.fasterxml.jackson.annotation;
    requires static transitive org.jspecify;

    exports dev.baton.protocol;
    exports dev.baton.protocol.log;
    exports dev.baton.protocol.flag;
    exports dev.baton.protocol.reply;
    exports dev.baton.protocol.request;
}
