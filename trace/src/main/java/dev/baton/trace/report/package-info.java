/** What was found, for people and for programs. */
@NullMarked
package dev.baton.trace.report;

import org.jspecify.annotations.NullMarked;
