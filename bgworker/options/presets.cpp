// The table of presets; see presets.hpp.
#include "bgworker/options/presets.hpp"

#include <algorithm>
#include <string>

namespace insync {

namespace {

constexpr PresetRow rows[] = {
    // Oracle REST Data Services, APEX: unordered unless asked, all in the one parameter q.
    {"ords", "params",
     R"({"q": "{[[\"$orderby\":{order:json}]][[,\"{watermark}\":{\"$gte\":{\"$date\":\"{since:iso}\"}}]][[,\"{watermark}\":{\"$gte\":{since:number}}]][[,\"$asof\":{\"$timestamp\":\"{asof}\"}]]}", "limit": "{limit}", "offset": "{offset}"})"},
    {"ords", "slice_query",
     R"({"q": "{[[\"$orderby\":{order:json},]]\"$and\":[{\"{slice_column}\":{\"$notnull\":null}}[[,{\"{slice_column}\":{\"$gte\":{\"$date\":\"{from:iso}\"}}}]][[,{\"{slice_column}\":{\"$lt\":{\"$date\":\"{to:iso}\"}}}]] ]}"})"},
    {"ords", "null_query", R"({"q": "{[[\"$orderby\":{order:json},]]\"{watermark}\":{\"$null\":null}}"})"},
    {"ords", "rows_path", "/items"},
    {"ords", "more_path", "/hasMore"},
    {"ords", "paging", "keyset"},
    {"ords", "order", "asc"},
    {"ords", "snapshot", "true"},
    {"ords", "catalog", "metadata-catalog/"},
    {"ords", "catalog_path", "/items"},

    // Shopify Admin REST: base_url ends in admin/api/VERSION/. Next links take no filter beside them.
    {"shopify_rest", "path", "{source}.json"},
    {"shopify_rest", "params",
     R"({"updated_at_min": "[[{since:iso}]]", "updated_at_max": "[[{until:iso}]]", "limit": "{limit}"})"},
    {"shopify_rest", "slice_query",
     R"({"{slice_column}_min": "[[{from:iso}]]", "{slice_column}_max": "[[{to:iso}]]"})"},
    {"shopify_rest", "null_query", "{}"},
    {"shopify_rest", "rows_path", "/{source}"},
    {"shopify_rest", "key_scan", R"({"params": {"fields": "{keys}"}})"},
    {"shopify_rest", "paging", "link_header"},
    {"shopify_rest", "stable_pages", "true"},
    {"shopify_rest", "page_size", "250"},
    {"shopify_rest", "max_results", "25000"},
    {"shopify_rest", "auth", "header"},
    {"shopify_rest", "auth_name", "X-Shopify-Access-Token"},
    {"shopify_rest", "rate_header", "x-shopify-shop-api-call-limit"},
    {"shopify_rest", "rate", "2/s"},

    // Shopify Admin GraphQL: base_url ends in admin/api/VERSION/; the source is a connection such as orders.
    {"shopify_graphql", "path", "graphql.json"},
    {"shopify_graphql", "method", "POST"},
    {"shopify_graphql", "body",
     R"({"query": "query($first: Int!, $after: String, $query: String) { {source}(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) { edges { node { {select} } } pageInfo { hasNextPage endCursor } } }", "variables": {"first": {limit}, "after": {page_token}, "query": "[[updated_at:>='{since:iso}']]"}})"},
    {"shopify_graphql", "null_query", "{}"},
    {"shopify_graphql", "select", "id updatedAt"},
    {"shopify_graphql", "key_scan", R"({"select": "id"})"},
    {"shopify_graphql", "rows_path", "/data/{source}/edges"},
    {"shopify_graphql", "row_path", "/node"},
    {"shopify_graphql", "error_path", "/errors"},
    {"shopify_graphql", "paging", "token"},
    {"shopify_graphql", "next_path", "/data/{source}/pageInfo/endCursor"},
    {"shopify_graphql", "more_path", "/data/{source}/pageInfo/hasNextPage"},
    {"shopify_graphql", "stable_pages", "true"},
    {"shopify_graphql", "order", "asc"},
    {"shopify_graphql", "page_size", "250"},
    {"shopify_graphql", "auth", "header"},
    {"shopify_graphql", "auth_name", "X-Shopify-Access-Token"},

    // Supabase, and PostgREST with path '{source}'.
    {"supabase", "path", "rest/v1/{source}"},
    {"supabase", "params",
     R"({"{watermark}": "[[gte.{since}]]", "order": "{order:asc}", "limit": "{limit}", "offset": "{offset}"})"},
    {"supabase", "slice_query",
     R"json({"and": "({slice_column}.not.is.null[[,{slice_column}.gte.\"{from}\"]][[,{slice_column}.lt.\"{to}\"]])"})json"},
    {"supabase", "null_query", R"({"{watermark}": "is.null"})"},
    {"supabase", "paging", "keyset"},
    {"supabase", "key_scan", R"({"params": {"select": "{keys}"}})"},
    {"supabase", "order", "asc"},
    {"supabase", "auth", "bearer"},
    {"supabase", "auth_name", "apikey"},
    {"supabase", "catalog", "rest/v1/"},
    {"supabase", "catalog_path", "/paths"},

    // OData v4: pages are as large as the server likes. Its next links aren't followed, as many services count rows for
    // them, which then miss what was moved by changes.
    {"odata", "params",
     R"({"$filter": "[[{watermark} ge {since:iso_ms}]][[{watermark} ge {since:day}]][[{watermark} ge {since:number}]]", "$orderby": "{order:comma}", "$skip": "{offset}"})"},
    {"odata", "slice_query",
     R"({"$filter": "{slice_column} ne null[[ and {slice_column} ge {from:iso_ms}]][[ and {slice_column} ge {from:day}]][[ and {slice_column} lt {to:iso_ms}]][[ and {slice_column} lt {to:day}]]"})"},
    {"odata", "null_query", R"({"$filter": "{watermark} eq null"})"},
    {"odata", "headers",
     R"({"Accept": "application/json;odata.metadata=none", "Prefer": "odata.maxpagesize={limit}"})"},
    {"odata", "rows_path", "/value"},
    {"odata", "key_scan", R"({"params": {"$select": "{keys}"}})"},
    {"odata", "paging", "keyset"},
    {"odata", "order", "asc"},
    {"odata", "catalog", ""},
    {"odata", "catalog_path", "/value"},

    // NocoDB: the source is a table's id.
    {"nocodb", "path", "api/v2/tables/{source}/records"},
    {"nocodb", "params",
     R"({"where": "[[({watermark},gte,exactDate,{since:%Y-%m-%d %H:%M:%S})]][[({watermark},gte,exactDate,{since:day})]][[({watermark},gte,{since:number})]]", "sort": "{order:comma}", "limit": "{limit}", "offset": "{offset}"})"},
    {"nocodb", "slice_query",
     R"({"where": "({slice_column},isnot,null)[[~and({slice_column},gte,exactDate,{from:%Y-%m-%d %H:%M:%S})]][[~and({slice_column},lt,exactDate,{to:%Y-%m-%d %H:%M:%S})]]"})"},
    {"nocodb", "null_query", R"json({"where": "({watermark},is,null)"})json"},
    {"nocodb", "rows_path", "/list"},
    {"nocodb", "key_scan", R"({"params": {"fields": "{keys}"}})"},
    {"nocodb", "more_path", "!/pageInfo/isLastPage"},
    {"nocodb", "paging", "keyset"},
    {"nocodb", "order", "asc"},
    {"nocodb", "auth", "header"},
    {"nocodb", "auth_name", "xc-token"},

    // Directus: asking for more than its cap is a 400.
    {"directus", "path", "items/{source}"},
    {"directus", "params",
     R"({"filter": "[[{\"{watermark}\":{\"_gte\":\"{since:iso_ms}\"}}]][[{\"{watermark}\":{\"_gte\":\"{since:day}\"}}]][[{\"{watermark}\":{\"_gte\":{since:number}}}]]", "sort": "{order:comma}", "limit": "{limit}", "offset": "{offset}"})"},
    {"directus", "slice_query",
     R"({"filter": "{\"_and\":[{\"{slice_column}\":{\"_nnull\":true}}[[,{\"{slice_column}\":{\"_gte\":\"{from:iso_ms}\"}}]][[,{\"{slice_column}\":{\"_lt\":\"{to:iso_ms}\"}}]] ]}"})"},
    {"directus", "null_query", R"({"filter": "{\"{watermark}\":{\"_null\":true}}"})"},
    {"directus", "rows_path", "/data"},
    {"directus", "key_scan", R"({"params": {"fields": "{keys}"}})"},
    {"directus", "paging", "keyset"},
    {"directus", "order", "asc"},
    {"directus", "page_size", "100"},
    {"directus", "auth", "bearer"},
    {"directus", "catalog", "collections"},
    {"directus", "catalog_path", "/data"},

    // GitHub: the source is a path such as repos/OWNER/NAME/issues.
    {"github", "params",
     R"({"since": "[[{since:iso}]]", "sort": "updated", "direction": "asc", "state": "all", "per_page": "{limit}"})"},
    {"github", "headers", R"({"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"})"},
    {"github", "null_query", "{}"},
    {"github", "paging", "link_header"},
    {"github", "order", "asc"},
    {"github", "page_size", "100"},
    {"github", "auth", "bearer"},

    // Stripe: newest first, always.
    {"stripe", "path", "v1/{source}"},
    {"stripe", "params",
     R"({"created[gte]": "[[{since:epoch}]]", "starting_after": "[[{last_key}]]", "limit": "{limit}"})"},
    {"stripe", "slice_query", R"({"{slice_column}[gte]": "[[{from:epoch}]]", "{slice_column}[lt]": "[[{to:epoch}]]"})"},
    {"stripe", "null_query", "{}"},
    {"stripe", "rows_path", "/data"},
    {"stripe", "more_path", "/has_more"},
    {"stripe", "paging", "last_key"},
    {"stripe", "watermark_format", "epoch"},
    {"stripe", "page_size", "100"},
    {"stripe", "auth", "bearer"},

    // Strapi, whose fourth version has the fields in attributes.
    {"strapi", "path", "api/{source}"},
    {"strapi", "params",
     R"({"filters[{watermark}][$gte]": "[[{since:iso_ms}]][[{since:day}]][[{since:number}]]", "sort": "{order:colon}", "pagination[start]": "{offset}", "pagination[limit]": "{limit}"})"},
    {"strapi", "slice_query",
     R"({"filters[{slice_column}][$gte]": "[[{from:iso_ms}]][[{from:day}]]", "filters[{slice_column}][$lt]": "[[{to:iso_ms}]][[{to:day}]]"})"},
    {"strapi", "null_query", R"({"filters[{watermark}][$null]": "true"})"},
    {"strapi", "rows_path", "/data"},
    {"strapi", "flatten", "attributes"},
    {"strapi", "key_scan", R"({"params": {"fields": "{keys}"}})"},
    {"strapi", "total_path", "/meta/pagination/total"},
    {"strapi", "paging", "keyset"},
    {"strapi", "order", "asc"},
    {"strapi", "page_size", "100"},
    {"strapi", "auth", "bearer"},

    // WordPress sorts by one field alone: pages are in the order of the id, which nothing changes.
    {"wordpress", "path", "wp-json/wp/v2/{source}"},
    {"wordpress", "params",
     R"({"modified_after": "[[{since:iso}]]", "orderby": "id", "order": "asc", "per_page": "{limit}", "offset": "{offset}"})"},
    {"wordpress", "key_scan", R"({"params": {"_fields": "{keys}"}})"},
    {"wordpress", "ignored_fields", "_links"},
    {"wordpress", "paging", "offset"},
    {"wordpress", "page_size", "100"},

    // Redmine.
    {"redmine", "path", "{source}.json"},
    {"redmine", "params",
     R"({"{watermark}": "[[>={since:iso}]]", "status_id": "*", "sort": "{order:comma}", "limit": "{limit}", "offset": "{offset}"})"},
    {"redmine", "total_path", "/total_count"},
    {"redmine", "paging", "keyset"},
    {"redmine", "order", "asc"},
    {"redmine", "page_size", "100"},
    {"redmine", "auth", "header"},
    {"redmine", "auth_name", "X-Redmine-API-Key"},

    // JSON:API says how pages follow each other, and not how to filter or how many rows to ask for.
    {"jsonapi", "headers", R"({"Accept": "application/vnd.api+json"})"},
    {"jsonapi", "rows_path", "/data"},
    {"jsonapi", "flatten", "attributes"},
    {"jsonapi", "ignored_fields", "links,meta"},
    {"jsonapi", "error_path", "/errors"},
    {"jsonapi", "paging", "next_url"},

    // GraphQL with Relay's connections: the source is one of them.
    {"graphql", "path", "graphql"},
    {"graphql", "method", "POST"},
    {"graphql", "body",
     R"({"query": "{ {source}(first: {limit}[[, after: \"{page_token}\"]]) { edges { node { {select} } } pageInfo { hasNextPage endCursor } } }"})"},
    {"graphql", "rows_path", "/data/{source}/edges"},
    {"graphql", "row_path", "/node"},
    {"graphql", "error_path", "/errors"},
    {"graphql", "paging", "token"},
    {"graphql", "next_path", "/data/{source}/pageInfo/endCursor"},
    {"graphql", "more_path", "/data/{source}/pageInfo/hasNextPage"},
    {"graphql", "page_size", "100"},

    // Elasticsearch, OpenSearch: each page is asked for behind the last row of the one before.
    {"elasticsearch", "path", "{source}/_search"},
    {"elasticsearch", "method", "POST"},
    {"elasticsearch", "body",
     R"({"size": {limit}, "track_total_hits": true, [["query": {"range": {"{watermark}": {"gte": "{since}"}}},]] "sort": [ [[{order:json},]] {"_id": "asc"} ][[, "search_after": {page_token:json}]]})"},
    {"elasticsearch", "slice_body",
     R"({"size": {limit}, "track_total_hits": true, "query": {"bool": {"filter": [ {"exists": {"field": "{slice_column}"}}[[, {"range": {"{slice_column}": {"gte": "{from}"}}}]][[, {"range": {"{slice_column}": {"lt": "{to}"}}}]] ]}}, "sort": [ {"_id": "asc"} ][[, "search_after": {page_token:json}]]})"},
    {"elasticsearch", "rows_path", "/hits/hits"},
    {"elasticsearch", "flatten", "_source"},
    {"elasticsearch", "ignored_fields", "sort,_score,_index,_type,_ignored"},
    {"elasticsearch", "key_scan", R"({"params": {"_source": "{keys}"}})"},
    {"elasticsearch", "error_path", "/error"},
    {"elasticsearch", "total_path", "/hits/total/value"},
    {"elasticsearch", "paging", "token"},
    {"elasticsearch", "next_path", "/hits/hits/-1/sort"},
    {"elasticsearch", "order", "asc"},

    // CouchDB: the source is a database, whose changes are read from where the last run ended.
    {"couchdb", "path", "{source}/_changes"},
    {"couchdb", "params", R"({"include_docs": "true", "since": "[[{page_token}]]", "limit": "{limit}"})"},
    {"couchdb", "rows_path", "/results"},
    {"couchdb", "row_path", "/doc"},
    {"couchdb", "fields", R"({"_id": "text", "_rev": "text", "_deleted": "boolean"})"},
    {"couchdb", "paging", "token"},
    {"couchdb", "next_path", "/last_seq"},
    {"couchdb", "more_path", "/pending"},
    {"couchdb", "response_watermark", "/last_seq"},
};

}  // namespace

std::span<const PresetRow> preset_rows() {
    return rows;
}

Askable askable(OptionMap options, const StreamOptions& stream, std::string_view source) {
    if (const auto preset = options.find("preset"); preset != options.end()) {
        const std::string name = preset->second;
        for (const PresetRow& row : preset_rows()) {
            if (name == row.preset) options.emplace(row.option, row.value);
        }
    }
    for (const auto& [name, value] : stream.map().items()) options[name] = value.dump();
    auto asks_since = [](std::string_view text) { return text.find("{since") != std::string_view::npos; };
    Askable can;
    can.slices = options.contains("slice_query") || options.contains("slice_body");
    can.since = asks_since(source) || std::any_of(options.begin(), options.end(),
                                                  [&](const auto& option) { return asks_since(option.second); });
    return can;
}

}  // namespace insync
