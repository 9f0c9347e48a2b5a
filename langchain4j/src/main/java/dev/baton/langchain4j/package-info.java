/** LangChain4j's chat models, answered by a model of this JVM. See {@code docs/in-process.md}. */
@NullMarked
package dev.baton.langchain4j;

import org.jspecify.annotations.NullMarked;
