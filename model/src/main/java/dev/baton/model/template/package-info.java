/**
 * Chat templates: the Jinja language as Python's jinja2 renders it in transformers' settings (sandboxed, trim_blocks,
 * lstrip_blocks, loop controls, the generation tag, tojson without escaping).
 */
@NullMarked
package dev.baton.model.template;

import org.jspecify.annotations.NullMarked;
