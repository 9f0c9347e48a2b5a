/** What a model repository holds: configuration, weights, tokenizer and chat template. */
module dev.baton.model {
    requires transitive dev.baton.protocol;
    requires transitive tools.jackson.databind;
    requires static transitive org.jspecify;
    requires ai.djl.tokenizers;
    requires ai.djl.api;

    exports dev.baton.model;
    exports dev.baton.model.config;
    exports dev.baton.model.safetensors;
    exports dev.baton.model.template;
    exports dev.baton.model.tokenizer;
}
