/** Tool calls in the text of a model: found while it streams, in the writing of each model family. */
package dev.baton.serve.openai.tool;
