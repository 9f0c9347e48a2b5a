/** What a GPU did and when, by CUPTI. */
@org.jspecify.annotations.NullMarked
package dev.baton.cuda.profile;
