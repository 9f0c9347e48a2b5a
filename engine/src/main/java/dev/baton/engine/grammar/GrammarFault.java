package dev.baton.engine.grammar;

import dev.baton.engine.EngineException;

/** Makes the error of a grammar that cannot be served. */
final class GrammarFault {
    private GrammarFault() {}

    /**
     * @param field where it came from: {@code regex}, {@code json_schema}, {@code ebnf}
     * @param what what is wrong, naming the construct
     */
    static EngineException of(String field, String what) {
        return new EngineException(EngineException.Code.INVALID_REQUEST, field + ": " + what);
    }
}
