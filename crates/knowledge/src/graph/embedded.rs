//! The graph in memory.
//!
//! Articles lie in the order in which lookups give them, so that the best of those found are those with the lowest
//! places. A lookup walks the graph breadth first and comes to each node once: an article that any path of at most
//! `max_hops` relations leads to is also reached by a shortest one.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::Path;

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{EdgeRef, VisitMap, Visitable};

use crate::graph::file::{GraphFile, GraphReport, read_graph};
use crate::graph::nodes::{GraphArticle, GraphNode, GraphSettings};
use crate::rows::ReadError;

/// A graph that answers without waiting; safe to ask from many threads.
#[derive(Debug)]
pub struct EmbeddedGraph {
    graph: DiGraph<Node, u32>,
    starts: HashMap<String, NodeIndex>,
    articles: Vec<GraphArticle>,
    relation_types: HashMap<String, u32>,
    statuses: HashMap<String, u32>,
}

#[derive(Debug, Clone, Copy)]
enum Node {
    Query,
    /// With its place among the articles; the status is here too, so that a lookup touches only the articles it gives.
    Article {
        place: u32,
        status: u32,
    },
}

impl EmbeddedGraph {
    /// Reads the graph file at `path`.
    pub fn read(path: &Path) -> Result<(Self, GraphReport), ReadError> {
        let (file, report) = read_graph(path)?;
        Ok((Self::new(file), report))
    }

    pub fn new(file: GraphFile) -> Self {
        let GraphFile { queries, articles, relation_types, relations } = file;
        let mut graph = DiGraph::with_capacity(queries.len() + articles.len(), relations.len());
        let (articles, places) = best_first(articles);
        let queries: Vec<_> = queries.into_iter().map(|keyword| (keyword, graph.add_node(Node::Query))).collect();
        let mut statuses = HashMap::new();
        let mut node_at = |place: u32| {
            let next = statuses.len() as u32;
            let status = *statuses.entry(articles[place as usize].status.clone()).or_insert(next);
            graph.add_node(Node::Article { place, status })
        };
        let article_nodes: Vec<_> = places.into_iter().map(&mut node_at).collect();
        let index = |node| match node {
            GraphNode::Query(place) => queries[place as usize].1,
            GraphNode::Article(place) => article_nodes[place as usize],
        };
        for relation in relations {
            graph.add_edge(index(relation.from), index(relation.to), relation.relation_type);
        }
        let relation_types = relation_types.into_iter().zip(0..).collect();
        Self { graph, starts: queries.into_iter().collect(), articles, relation_types, statuses }
    }

    /// The keywords of all queries, in no order.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.starts.keys().map(String::as_str)
    }

    /// The articles that paths from the query `keyword` lead to, by priority descending, none last, ties by title and
    /// id; each once. Empty for a keyword that is not in the graph.
    pub fn related(&self, keyword: &str, settings: &GraphSettings) -> Vec<GraphArticle> {
        let Some(&start) = self.starts.get(keyword) else { return Vec::new() };
        let mut places = self.reached(vec![start], settings);
        if !settings.filter.is_empty() {
            places.retain(|&place| {
                let GraphArticle { audience, language, .. } = &self.articles[place as usize];
                settings.filter.is_for(*audience, language.as_deref())
            });
        }
        if settings.limit < places.len() {
            places.select_nth_unstable(settings.limit);
            places.truncate(settings.limit);
        }
        places.sort_unstable();
        places.into_iter().map(|place| self.articles[place as usize].clone()).collect()
    }

    /// What no keyword leads to, and why; nothing where every article is found by one and every relation followed.
    pub fn unreachable(&self, settings: &GraphSettings) -> Option<Unreachable> {
        let followed = self.followed(settings);
        let num_found = self.reached(self.starts.values().copied().collect(), settings).len();
        let statuses = self.articles.iter().map(|article| article.status.as_str());
        let num_shown = statuses.clone().filter(|status| *status == settings.status).count();
        let num_without = statuses.clone().filter(|status| status.trim().is_empty()).count();
        let types = self.relation_types.iter().filter(|(_, number)| !followed[**number as usize]);
        let unreachable = Unreachable {
            settings: settings.clone(),
            num_articles: self.articles.len(),
            num_without_status: num_without,
            num_of_other_status: self.articles.len() - num_shown - num_without,
            num_without_path: num_shown - num_found,
            relations: self.graph.edge_weights().filter(|number| !followed[**number as usize]).count(),
            relation_types: types.map(|(name, _)| name.clone()).collect(),
        };
        (num_found < unreachable.num_articles || unreachable.relations > 0).then_some(unreachable)
    }

    /// The places of the articles of the right status that paths from one of `starts` lead to.
    fn reached(&self, starts: Vec<NodeIndex>, settings: &GraphSettings) -> Vec<u32> {
        let Some(&shown) = self.statuses.get(&settings.status) else { return Vec::new() };
        let followed = self.followed(settings);
        let mut seen = self.graph.visit_map();
        for &start in &starts {
            seen.visit(start);
        }
        let (mut frontier, mut found) = (starts, Vec::new());
        for _ in 0..settings.max_hops {
            let mut next = Vec::new();
            for edge in frontier.iter().flat_map(|&node| self.graph.edges(node)) {
                if followed[*edge.weight() as usize] && seen.visit(edge.target()) {
                    next.push(edge.target());
                }
            }
            found.extend(next.iter().filter_map(|&node| match self.graph[node] {
                Node::Article { place, status } if status == shown => Some(place),
                _ => None,
            }));
            frontier = next;
        }
        found
    }

    /// For each relation type of the graph whether a lookup goes along it.
    fn followed(&self, settings: &GraphSettings) -> Vec<bool> {
        let mut followed = vec![false; self.relation_types.len()];
        for relation_type in settings.relations.iter().filter_map(|name| self.relation_types.get(name)) {
            followed[*relation_type as usize] = true;
        }
        followed
    }
}

/// What lookups pass over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    settings: GraphSettings,
    num_articles: usize,
    num_without_status: usize,
    num_of_other_status: usize,
    /// Of the right status, but no relations that are followed lead there.
    num_without_path: usize,
    /// Relations that are not followed.
    relations: usize,
    relation_types: BTreeSet<String>,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, num_articles, num_without_status, num_of_other_status, num_without_path, .. } = self;
        let num_lost = num_without_status + num_of_other_status + num_without_path;
        let (status, hops, followed) = (&settings.status, settings.max_hops, settings.relations.join(", "));
        write!(formatter, "{num_lost} of {num_articles} articles are found by no keyword")?;
        if num_lost > 0 {
            write!(
                formatter,
                ": {num_without_status} have no status, {num_of_other_status} another one than {status:?}, \
                 {num_without_path} no path of at most {hops} relations {followed} from a query"
            )?;
        }
        if self.relations > 0 {
            let types = self.relation_types.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            write!(formatter, "; {} relations of other types are not followed: {types}", self.relations)?;
        }
        Ok(())
    }
}

/// The articles in the order of lookups, and for each of the given ones its place in that order.
fn best_first(articles: Vec<GraphArticle>) -> (Vec<GraphArticle>, Vec<u32>) {
    let mut numbered: Vec<_> = articles.into_iter().enumerate().collect();
    numbered.sort_by(|(_, one), (_, two)| one.order(two));
    let mut places = vec![0; numbered.len()];
    for (place, (number, _)) in (0..).zip(&numbered) {
        places[*number] = place;
    }
    (numbered.into_iter().map(|(_, article)| article).collect(), places)
}
